package codegen

import (
	"strings"

	"tenantry/tenants/model"
)

// tsTaken are names that generated TypeScript must not take.
const tsTaken = `any bigint boolean never null number object string symbol undefined unknown void
await break case catch class const continue debugger default delete do else enum export extends false finally for function if import in instanceof
new return super switch this throw true try typeof var while with yield let static implements interface package private protected public async of
arguments eval globalThis`

// tsUsed are names that the files with the function use.
const tsUsed = `ActionError Arguments Buffer Call Event Object Output Number Request Pending Response NextApiRequest NextApiResponse POST Settings Uint8Array
answer app call chunk complete data operation output pending chunks config console express fetch handler header headers input maxBody process receive request response server settings size`

// typescript makes the files of a framework: the contract, the check, and the
// scaffold files, of which the first has the function.
func typescript(scaffold ...string) func(*contract, Options) ([]File, error) {
	return func(c *contract, o Options) ([]File, error) {
		names := reserve(tsTaken, "Arguments Output")
		d := dialect{names: map[string]string{}}
		for _, t := range c.types {
			d.names[t.name] = names.take(t.name)
		}
		d.typeOf = func(f field, _ string) string { return c.tsType(d.names, f.ref) }
		d.fieldAs = func(_ namer, name string) string { return name }
		d.valueAs = func(_ *declared, value string) string { return value }
		v := c.view(d, o)
		v.Module = c.distinct(func(action string) string { return action })
		v.Function = reserve(tsTaken, tsUsed).take(camel(c.action))
		v.delegate(o, tsText)
		if s, ok := c.sample(c.tsLiterals(), c.output, nil); ok {
			v.Sample, v.Later = s.print("  ", 1), c.async
		}
		files := make([]File, 0, len(scaffold)+2)
		for i, name := range scaffold {
			if i == 0 {
				v.Root = strings.Repeat("../", strings.Count(name, "/"))
				if v.Root == "" {
					v.Root = "./"
				}
			}
			text, err := render(c.framework+"/"+last(name), v)
			if err != nil {
				return nil, err
			}
			files = append(files, File{Name: strings.ReplaceAll(name, "{action}", v.Module), Content: text, Scaffold: true})
		}
		for name, as := range map[string]string{"typescript/contract.ts": "tenantry/actions/" + v.Module + ".ts", "typescript/webhook.ts": "tenantry/webhook.ts"} {
			text, err := render(name, v)
			if err != nil {
				return nil, err
			}
			files = append(files, File{Name: as, Content: text})
		}
		return sorted(files), nil
	}
}

// last is the name of the template of a scaffold file.
func last(name string) string {
	name = name[strings.LastIndexByte(name, '/')+1:]
	return strings.ReplaceAll(name, "{action}", "action")
}

func (c *contract) tsType(names map[string]string, ref model.TypeRef) string {
	text := tsScalars[scalars[ref.Name]]
	switch t := c.byName[ref.Name]; {
	case ref.Of != nil:
		text = c.tsType(names, *ref.Of)
		if strings.Contains(text, " ") {
			text = "(" + text + ")"
		}
		text += "[]"
	case t != nil:
		text = names[t.name]
	}
	if !ref.NonNull && text != "unknown" {
		text += " | null"
	}
	return text
}

var tsScalars = map[form]string{
	textForm: "string", integerForm: "number", floatForm: "number", booleanForm: "boolean", exactForm: "number | string", anyForm: "unknown",
}

func tsQuote(text string) string { return "'" + text + "'" }

func (c *contract) tsLiterals() literals {
	return literals{
		truth: "true", object: "{}", number: "0", quote: tsQuote,
		enum:     func(_ *declared, value string) string { return tsQuote(value) },
		objectOf: func(*declared, model.TypeRef) (string, string) { return "{", " }" },
		key:      func(_ *declared, f field) string { return f.name + ": " },
		list:     func(model.TypeRef) (string, string) { return "[", "]" },
	}
}
