package codegen

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"

	"tenantry/tenants/model"
)

const javaKeywords = `_ abstract assert boolean break byte case catch char class const continue default do double else enum extends final finally float for
goto if implements import instanceof int interface long native new package private protected public return short static strictfp super switch
synchronized this throw throws transient try void volatile while true false null var yield record sealed permits`

// javaTypes are names that types must not take, as the files of a package use or
// import them; javaMembers those that the components of a record must not, javaUsed
// those that a function must not.
const (
	javaTypes = `Arguments BigDecimal Boolean Deprecated Double Enum Exception Integer JsonInclude JsonProperty List Long Map Object Override Record
String System Webhook TypeReference IOException InputStream Value HttpHeaders MediaType ResponseEntity PostMapping RequestHeader RestController Math
Thread IllegalArgumentException IllegalStateException InterruptedException NumberFormatException RuntimeException`
	javaMembers = "clone finalize getClass hashCode notify notifyAll toString wait"
	javaUsed    = "answer body call completion headers input output webhook " + javaMembers
)

// javaSource is the folder of the package of everything.
const javaSource = "src/main/java/tenantry/"

// java makes the files of a Spring controller: the contract as records, the check,
// and the controller.
func java(c *contract, o Options) ([]File, error) {
	class := c.distinct(func(action string) string { return reserve(javaKeywords, javaTypes).take(pascal(action)) }, "Controller")
	names := reserve(javaKeywords, javaTypes, class)
	d := dialect{names: map[string]string{}}
	for _, t := range c.types {
		d.names[t.name] = names.take(pascal(t.name))
	}
	values := map[*declared]namer{}
	d.typeOf = func(f field, _ string) string { return c.javaType(d.names, f.ref) }
	d.fieldAs = func(scope namer, name string) string {
		for scope[name] || reserve(javaKeywords, javaMembers)[name] {
			name += "_"
		}
		scope[name] = true
		return name
	}
	d.valueAs = func(t *declared, value string) string {
		if values[t] == nil {
			values[t] = reserve(javaKeywords)
		}
		return values[t].take(value)
	}
	o.GraphQLURL = javaComment(o.GraphQLURL)
	v := c.view(d, o)
	c.javaView(&v)
	v.Class = class
	v.Function = reserve(javaKeywords, javaUsed).take(camel(c.action))
	v.delegate(o, javaText)
	// The controller is another class: the types have the contract's name before them.
	outside := map[string]string{}
	for name, as := range d.names {
		outside[name] = class + "." + as
	}
	v.Output = c.javaType(outside, c.output)
	if s, ok := c.sample(c.javaLiterals(outside), c.output, nil); ok {
		v.Sample, v.Later = s.print("    ", 2), c.async
	}
	for name, uses := range map[string]string{"java.math.BigDecimal": "BigDecimal", "java.util.List": "List"} {
		if regexp.MustCompile(`\b` + uses + `\b`).MatchString(v.Output + " " + v.Sample) {
			v.Imports = append(v.Imports, name)
		}
	}
	slices.Sort(v.Imports)
	files := []File{
		{Name: class + "Controller.java", Content: "java-spring/Controller.java", Scaffold: true},
		{Name: class + ".java", Content: "java-spring/Contract.java"},
		{Name: "Webhook.java", Content: "java-spring/Webhook.java"},
	}
	for i, f := range files {
		text, err := render(f.Content, v)
		if err != nil {
			return nil, err
		}
		files[i].Name, files[i].Content = javaSource+f.Name, text
	}
	return files, nil
}

// javaView says of every member what the contract says, as Java's types do not tell
// what may be null, and makes texts safe in comments.
func (c *contract) javaView(v *view) {
	said := func(shown []fieldView, fields []field) {
		for i := range shown {
			shown[i].Last = i == len(shown)-1
			shown[i].Scalar, shown[i].Comment = fields[i].ref.String(), javaComment(shown[i].Comment)
		}
	}
	v.Comment = javaComment(v.Comment)
	said(v.Arguments, c.arguments)
	for i, t := range c.types {
		shown := &v.Types[i]
		shown.Comment, shown.Input = javaComment(shown.Comment), t.kind == inputKind
		said(shown.Fields, t.fields)
		for j := range shown.Values {
			shown.Values[j].Comment = javaComment(shown.Values[j].Comment)
		}
		for j := range shown.Joins {
			shown.Joins[j] = javaComment(shown.Joins[j])
		}
	}
}

// javaComment is a text in a comment: Java reads \u000a as a line break there, too.
func javaComment(text string) string {
	return strings.NewReplacer(`\`, "&#92;", "<", "&lt;", "&", "&amp;", "@", "&#64;").Replace(text)
}

// javaText is a literal of a text of several lines, in ASCII.
func javaText(text string) string {
	var out strings.Builder
	out.WriteByte('"')
	for i, r := range text {
		switch {
		case r == '\n' && i < len(text)-1:
			out.WriteString("\\n\"\n            + \"")
		case r == '\n':
			out.WriteString(`\n`)
		case r == '"' || r == '\\':
			out.WriteString(`\` + string(r))
		case ' ' <= r && r <= '~':
			out.WriteRune(r)
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				if unit == '\r' { // the escape would end the line
					out.WriteString(`\r`)
				} else {
					fmt.Fprintf(&out, `\u%04x`, unit)
				}
			}
		}
	}
	return out.String() + `"`
}

func (c *contract) javaType(names map[string]string, ref model.TypeRef) string {
	if ref.Of != nil {
		return "List<" + c.javaType(names, *ref.Of) + ">"
	}
	if t := c.byName[ref.Name]; t != nil && t.kind != scalarKind {
		return names[t.name]
	} else if t != nil {
		return "Object"
	}
	switch scalars[ref.Name] {
	case textForm:
		return "String"
	case integerForm:
		return "Integer"
	case floatForm:
		return "Double"
	case booleanForm:
		return "Boolean"
	case exactForm:
		if ref.Name == "numeric" {
			return "BigDecimal"
		}
		return "Long"
	}
	return "Object"
}

func (c *contract) javaLiterals(names map[string]string) literals {
	return literals{
		null: "null", positional: true,
		leaf: func(name string) string {
			return map[string]string{
				"String": javaText(sampleTexts[name]), "Integer": "0", "Double": "0.0", "Boolean": "true", "Long": "0L", "BigDecimal": "BigDecimal.ZERO",
				"Object": "Map.of()",
			}[c.javaType(names, model.TypeRef{Name: name})]
		},
		enum: func(t *declared, value string) string {
			scope := reserve(javaKeywords)
			for _, v := range t.values {
				if name := scope.take(v.Value); v.Value == value {
					return names[t.name] + "." + name
				}
			}
			return "null"
		},
		objectOf: func(t *declared, _ model.TypeRef) (string, string) { return "new " + names[t.name] + "(", ")" },
		key:      func(*declared, field) string { return "" },
		list:     func(model.TypeRef) (string, string) { return "List.of(", ")" },
	}
}
