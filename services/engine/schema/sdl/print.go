package sdl

import (
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// PrintAction is an action with the custom types that it uses, as text that
// ParseAction reads back. Relationships of types have no form in SDL and are
// left out.
func PrintAction(doc *metadata.Document, a *metadata.Action) string {
	var p printer
	root := "Mutation"
	if a.Definition.Type == "query" {
		root = "Query"
	}
	p.line(0, "type ", root, " {")
	p.description(1, a.Comment)
	p.signature(a)
	p.line(0, "}")
	for _, name := range reachable(doc.CustomTypes, a) {
		p.customType(doc.CustomTypes, name)
	}
	return p.String()
}

type printer struct{ strings.Builder }

func (p *printer) line(indent int, parts ...string) {
	p.WriteString(strings.Repeat("  ", indent))
	for _, s := range parts {
		p.WriteString(s)
	}
	p.WriteByte('\n')
}

func (p *printer) description(indent int, text string) {
	if text != "" {
		p.line(indent, quote(text))
	}
}

func quote(text string) string { return (&ast.Value{Kind: ast.StringValue, Raw: text}).String() }

func (p *printer) signature(a *metadata.Action) {
	args := a.Definition.Arguments
	described := false
	for _, arg := range args {
		described = described || arg.Description != ""
	}
	switch {
	case len(args) == 0:
		p.line(1, a.Name, ": ", a.Definition.OutputType)
	case !described:
		parts := make([]string, len(args))
		for i, arg := range args {
			parts[i] = arg.Name + ": " + arg.Type
		}
		p.line(1, a.Name, "(", strings.Join(parts, ", "), "): ", a.Definition.OutputType)
	default:
		p.line(1, a.Name, "(")
		p.fields(2, args)
		p.line(1, "): ", a.Definition.OutputType)
	}
}

func (p *printer) fields(indent int, fields []metadata.Argument) {
	for _, f := range fields {
		p.description(indent, f.Description)
		p.line(indent, f.Name, ": ", f.Type)
	}
}

func (p *printer) customType(types *metadata.CustomTypes, name string) {
	p.WriteByte('\n')
	for _, t := range types.Scalars {
		if t.Name == name {
			p.description(0, t.Description)
			p.line(0, "scalar ", name)
		}
	}
	for _, t := range types.Enums {
		if t.Name == name {
			p.enum(t)
		}
	}
	for _, t := range types.InputObjects {
		if t.Name == name {
			p.block("input ", name, t.Description, t.Fields)
		}
	}
	for _, t := range types.Objects {
		if t.Name == name {
			p.block("type ", name, t.Description, t.Fields)
		}
	}
}

func (p *printer) enum(t metadata.EnumType) {
	p.description(0, t.Description)
	p.line(0, "enum ", t.Name, " {")
	for _, v := range t.Values {
		p.description(1, v.Description)
		if v.IsDeprecated {
			p.line(1, v.Value, " @deprecated")
		} else {
			p.line(1, v.Value)
		}
	}
	p.line(0, "}")
}

func (p *printer) block(keyword, name, description string, fields []metadata.Argument) {
	p.description(0, description)
	p.line(0, keyword, name, " {")
	p.fields(1, fields)
	p.line(0, "}")
}

// reachable are the declared types that an action uses, in order of first use.
func reachable(types *metadata.CustomTypes, a *metadata.Action) []string {
	if types == nil {
		return nil
	}
	fields := fieldsByType(types)
	var names []string
	seen := map[string]bool{}
	var visit func(ref string)
	visit = func(ref string) {
		name := baseName(ref)
		members, declared := fields[name]
		if !declared || seen[name] {
			return
		}
		seen[name] = true
		names = append(names, name)
		for _, f := range members {
			visit(f.Type)
		}
	}
	for _, arg := range a.Definition.Arguments {
		visit(arg.Type)
	}
	visit(a.Definition.OutputType)
	return names
}

// fieldsByType holds every declared type with its fields, if it has any.
func fieldsByType(types *metadata.CustomTypes) map[string][]metadata.Argument {
	fields := map[string][]metadata.Argument{}
	for _, t := range types.Scalars {
		fields[t.Name] = nil
	}
	for _, t := range types.Enums {
		fields[t.Name] = nil
	}
	for _, t := range types.InputObjects {
		fields[t.Name] = t.Fields
	}
	for _, t := range types.Objects {
		fields[t.Name] = t.Fields
	}
	return fields
}

func baseName(ref string) string {
	t, err := model.ParseTypeRef(ref)
	if err != nil {
		return ref
	}
	return t.Base()
}
