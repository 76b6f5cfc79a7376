package openapi

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// Import makes definitions of actions of a document's operations. The error is an
// *Error: the document can't be read, or it lacks a wanted operation.
func Import(text string, o Options) (out *Imported, err error) {
	doc, err := read(text)
	if err != nil {
		return nil, err
	}
	defer func() {
		switch end := recover().(type) {
		case nil:
		case tooMuch:
			out, err = nil, refused(end.pointer, "the schemas refer to one another more than %d times", maxSchemas)
		default:
			panic(end)
		}
	}()
	i := &importer{doc: doc, options: o, types: newTypes(doc, o.Prefix), out: &Imported{}, names: map[string]bool{}}
	operations, err := i.wanted()
	if err != nil {
		return nil, err
	}
	if o.Handler == "" {
		if i.options.Handler, err = i.server(); err != nil {
			return nil, err
		}
	}
	i.options.Handler = strings.TrimRight(i.options.Handler, "/")
	for _, operation := range operations {
		i.operation(operation)
	}
	i.types.endEndless()
	i.security(operations)
	for d := range i.out.Definitions {
		i.out.Definitions[d].Types = used(i.types.declared, &i.out.Definitions[d].Action.Definition)
	}
	i.out.Notes = i.types.notes
	return i.out, nil
}

type importer struct {
	doc     *document
	options Options
	types   *types
	names   map[string]bool // of actions
	out     *Imported
}

// operation is one of the document, with its place.
type operation struct {
	*operationObject
	item                      *pathItem
	id, method, path, pointer string
}

// methods in the order in which they are told.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions, http.MethodTrace}

// wanted finds the operations.
func (i *importer) wanted() (all []operation, err error) {
	missing := map[string]bool{}
	for _, id := range i.options.Operations {
		missing[id] = true
	}
	for _, path := range slices.Sorted(maps.Keys(i.doc.paths)) {
		for _, method := range methods {
			o := i.doc.paths[path].operations[method]
			if o == nil {
				continue
			}
			id := o.id
			if id == "" {
				id = identifier(strings.ToLower(method) + "_" + path)
			}
			if len(i.options.Operations) > 0 && !slices.Contains(i.options.Operations, id) {
				continue
			}
			delete(missing, id)
			all = append(all, operation{o, i.doc.paths[path], id, method, path, at("/paths", path, strings.ToLower(method))})
		}
	}
	if len(missing) > 0 {
		refusal := &Error{}
		for _, id := range i.options.Operations {
			if missing[id] && len(refusal.Notes) < maxNotes {
				refusal.Notes = append(refusal.Notes, Note{"/paths", "there is no operation with the id " + strconv.Quote(short(id))})
			}
		}
		return nil, refusal
	}
	if len(all) == 0 {
		return nil, refused("/paths", "the document has no operations")
	}
	if len(all) > MaxOperations {
		return nil, refused("/paths", "%d operations are wanted, at most %d are imported at once: say which", len(all), MaxOperations)
	}
	return all, nil
}

// server is the URL of the first server, with the defaults of its variables.
func (i *importer) server() (string, error) {
	if len(i.doc.servers) == 0 {
		return "", refused("/servers", "the document has no server: say the handler's URL")
	}
	address := i.doc.servers[0].url
	for name, value := range i.doc.servers[0].variables {
		address = strings.ReplaceAll(address, "{"+name+"}", value)
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.ContainsAny(address, "{}") {
		return "", refused("/servers/0/url", "expected an http or https URL with a host; or say the handler's URL")
	}
	return address, nil
}

// operation maps one operation, or says why it can't.
func (i *importer) operation(o operation) {
	definition := metadata.ActionDefinition{Type: "mutation", Handler: i.options.Handler}
	switch o.method {
	case http.MethodGet:
		definition.Type = "query"
	case http.MethodHead, http.MethodOptions, http.MethodTrace:
		i.unmapped(o, o.pointer, "the method "+o.method+" has no answer that an action could give")
		return
	}
	r := &request{importer: i, operation: o, definition: &definition, arguments: map[string]bool{}}
	if !r.parameters() || !r.body() || !r.answer() {
		return
	}
	definition.RequestTransform = r.transform()
	name := identifier(o.id)
	for n := 2; i.names[name]; n++ {
		name = identifier(o.id) + "_" + strconv.Itoa(n)
	}
	i.names[name] = true
	action := metadata.Action{Name: name, Comment: o.summary, Definition: definition}
	if action.Comment == "" {
		action.Comment = o.description
	}
	for _, role := range i.options.Roles {
		action.Permissions = append(action.Permissions, metadata.ActionPermission{Role: role})
	}
	i.out.Definitions = append(i.out.Definitions, Definition{Operation: o.id, Pointer: o.pointer, Action: action})
}

func (i *importer) unmapped(o operation, pointer, reason string) {
	i.out.Unmapped = append(i.out.Unmapped, Unmapped{o.id, pointer, reason})
}

// security tells of credentials that the API wants: they are the project's, as
// headers of the actions, and never part of a document.
func (i *importer) security(operations []operation) {
	wanted := map[string]bool{}
	for _, o := range operations {
		names := i.doc.security
		if o.secured {
			names = o.security
		}
		for _, name := range names {
			wanted[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		i.types.note(at("/components/securitySchemes", name),
			"the API wants a credential: add it to the headers of the actions, as the value of a variable of the project")
	}
}

// used are the types that an action reaches, in the order of declaration.
func used(all metadata.CustomTypes, d *metadata.ActionDefinition) metadata.CustomTypes {
	fields := map[string][]metadata.Argument{}
	for _, t := range all.InputObjects {
		fields[t.Name] = t.Fields
	}
	for _, t := range all.Objects {
		fields[t.Name] = t.Fields
	}
	reached := map[string]bool{}
	var visit func(text string)
	visit = func(text string) {
		ref, err := model.ParseTypeRef(text)
		if err != nil || reached[ref.Base()] {
			return
		}
		reached[ref.Base()] = true
		for _, f := range fields[ref.Base()] {
			visit(f.Type)
		}
	}
	for _, a := range d.Arguments {
		visit(a.Type)
	}
	visit(d.OutputType)
	return metadata.CustomTypes{
		Enums:        keep(all.Enums, reached, func(t metadata.EnumType) string { return t.Name }),
		InputObjects: keep(all.InputObjects, reached, func(t metadata.InputType) string { return t.Name }),
		Objects:      keep(all.Objects, reached, func(t metadata.ObjectType) string { return t.Name }),
	}
}

func keep[T any](list []T, names map[string]bool, name func(T) string) (kept []T) {
	for _, t := range list {
		if names[name(t)] {
			kept = append(kept, t)
		}
	}
	return kept
}
