package planner

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/api/errcode"
	"tenantry/policy/filter"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/plan"
	"tenantry/services/engine/schema"
	"tenantry/tenants/catalog"
	"tenantry/tenants/model"
)

// relayMember plans the fields that only the Relay flavour of an object has.
func (p *planner) relayMember(t *model.Table, f *operation.Field, path string) (plan.Output, bool, error) {
	if !p.schema.Relay() {
		return plan.Output{}, false, nil
	}
	if f.Name == schema.NodeID && p.schema.Node(t) {
		return plan.Output{Key: f.Key, Node: p.nodeID(t)}, true, nil
	}
	r, ok := p.schema.ConnectionOf(t, f.Name)
	if !ok {
		return plan.Output{}, false, nil
	}
	nested, err := p.connection(r.Target, f, path)
	if err != nil {
		return plan.Output{}, true, err
	}
	nested.On = pairs(r.Mapping)
	return plan.Output{Key: f.Key, Nested: nested}, true, nil
}

// nodeID names the table by schema and name; by its source too where another
// source has a table of that name.
func (p *planner) nodeID(t *model.Table) *plan.NodeID {
	id := &plan.NodeID{Version: 1, Parts: []string{t.Name.Schema, t.Name.Name}}
	if first, ok := p.schema.NodeTable("", t.Name.Schema, t.Name.Name); !ok || first != t {
		id.Version, id.Parts = 2, []string{t.Source, t.Name.Schema, t.Name.Name}
	}
	for _, c := range t.PrimaryKey {
		id.Key = append(id.Key, plan.Column{Name: c.StoredName(), Type: c.Type})
	}
	return id
}

// nodeReference is what a node id says: a table, and where in the JSON array the
// primary key begins.
type nodeReference struct {
	table *model.Table
	key   int
	given int // how many values there are
}

// readNodeID finds the table of a node id; the error is the dialect's sentence.
func readNodeID(s *schema.Schema, text string) (nodeReference, error) {
	var parts []any
	var decoded any
	if err := plan.DecodeOpaque(text, &decoded); err != nil {
		return nodeReference{}, fmt.Errorf("the node id is not base64 of JSON")
	}
	parts, ok := decoded.([]any)
	if !ok || len(parts) == 0 {
		return nodeReference{}, fmt.Errorf("Error in $: the node id is not a list")
	}
	version, ok := parts[0].(json.Number)
	if !ok {
		return nodeReference{}, fmt.Errorf("Error in $: unexpected GUID format, needs to start with a version number")
	}
	names := map[string]int{"1": 2, "2": 3}[version.String()]
	if names == 0 || len(parts) < 1+names {
		return nodeReference{}, fmt.Errorf("Error in $: unexpected GUID version or format: %s", version)
	}
	var table []string
	for _, part := range parts[1 : 1+names] {
		name, _ := part.(string)
		table = append(table, name)
	}
	source := ""
	if names == 3 {
		source, table = table[0], table[1:]
	}
	t, ok := s.NodeTable(source, table[0], table[1])
	if !ok {
		return nodeReference{}, fmt.Errorf("the table %s.%s does not exist", shorten(table[0]), shorten(table[1]))
	}
	return nodeReference{table: t, key: 1 + names, given: len(parts) - 1 - names}, nil
}

func shorten(name string) string {
	if len(name) > 100 {
		return name[:100] + "…"
	}
	return name
}

// nodeShape is the part of a variable's shape that says which table an id is of.
func nodeShape(s *schema.Schema, value any) string {
	text, _ := value.(string)
	ref, err := readNodeID(s, text)
	if err != nil {
		return "s" // no plan is made of it
	}
	return strconv.Quote(ref.table.Source+"."+ref.table.Type) + strconv.Itoa(ref.given)
}

// node plans the root field that finds a row by its global id.
func (p *planner) node(out plan.Field, f *operation.Field, path string) (plan.Field, error) {
	place := path + ".args." + schema.NodeID
	in, _ := p.argument(f.Arguments, schema.NodeID)
	ref, err := readNodeID(p.schema, in.symbol())
	if err != nil {
		return out, invalidNode(place, err.Error())
	}
	t := ref.table
	var missing []string
	for i, c := range t.PrimaryKey {
		if i >= ref.given {
			missing = append(missing, "'"+c.Name+"'")
		}
	}
	if len(missing) > 0 {
		return out, invalidNode(place, "primary key columns ["+strings.Join(missing, ", ")+"] are missing")
	}
	if ref.given > len(t.PrimaryKey) {
		return out, invalidNode(place, "unexpected values after the primary key")
	}
	text, err := in.param(textType, place)
	if err != nil {
		return out, err
	}
	s, err := p.rows(t, f, path)
	if err != nil {
		return out, err
	}
	s.Shape = plan.Object
	var key filter.And
	for i, c := range t.PrimaryKey {
		value := filter.Param{From: filter.Encoded, Name: place, Items: []filter.Param{text}, Path: []any{ref.key + i}, Type: c.Type}
		key = append(key, filter.Compare{Left: filter.Column{Name: c.StoredName(), Type: c.Type}, Op: filter.Eq, Right: value})
	}
	s.Where = filter.Both(key, s.Where)
	out.Select = s
	out.Resource = plan.Resource{Kind: "table", Source: t.Source, Schema: t.Name.Schema, Name: t.Name.Name, Columns: out.Columns()}
	return out, nil
}

func invalidNode(place, why string) error {
	return errcode.New(errcode.ValidationFailed, "invalid node id: %s", why).At(place)
}

// connection plans a field that pages through rows.
func (p *planner) connection(t *model.Table, f *operation.Field, path string) (*plan.Select, error) {
	allowed := p.role.Table(t).Select
	if allowed == nil {
		return nil, errcode.New(errcode.ValidationFailed, "field '%s' not found", f.Name).At(path)
	}
	s := &plan.Select{Source: t.Source, Table: t.Name, Where: allowed.Filter, Connection: &plan.Connection{}}
	if allowed.Limit > 0 {
		s.Limit = []plan.Bound{{Number: allowed.Limit}}
	}
	if err := p.selectArguments(s, t, f.Arguments, path+".args"); err != nil {
		return nil, err
	}
	if err := p.cursorKeys(s, t, f.Arguments, path+".args"); err != nil {
		return nil, err
	}
	if err := p.paging(s, f.Arguments, path+".args"); err != nil {
		return nil, err
	}
	return s, p.connectionMembers(s.Connection, t, f, path)
}

// cursorKeys makes the order complete, so that each row has a cursor of its own.
func (p *planner) cursorKeys(s *plan.Select, t *model.Table, args ast.ArgumentList, path string) error {
	seen := map[string]bool{}
	add := func(key plan.CursorKey) {
		if name := strings.Join(key.Name, "."); !seen[name] {
			seen[name] = true
			s.Connection.Keys = append(s.Connection.Keys, key)
		}
	}
	if in, ok := p.argument(args, t.Naming.Field(schema.OrderBy)); ok && !in.null() {
		for _, item := range in.items() {
			keys, err := p.orderKeys(t, nil, item, path)
			if err != nil {
				return err
			}
			for i, name := range leaves(item, nil) {
				if i < len(keys) {
					add(plan.CursorKey{Order: keys[i], Name: name, At: filter.Param{Type: keyType(keys[i])}})
				}
			}
		}
	}
	for _, c := range t.PrimaryKey {
		add(plan.CursorKey{
			Order: plan.Order{Column: plan.Column{Name: c.StoredName(), Type: c.Type}}, Name: []string{c.Name}, NotNull: true, At: filter.Param{Type: c.Type},
		})
	}
	s.OrderBy = nil
	return nil
}

// leaves are the paths of the sort keys in an object of order_by, in order.
func leaves(in input, above []string) [][]string {
	var out [][]string
	for _, f := range in.fields() {
		name := append(above[:len(above):len(above)], f.name)
		switch {
		case f.in.null():
		case f.in.symbol() != "":
			out = append(out, name)
		default:
			out = append(out, leaves(f.in, name)...)
		}
	}
	return out
}

var numeric = catalog.TypeRef{Schema: "pg_catalog", Name: "numeric"}

// keyType is the type of a sort key's values.
func keyType(o plan.Order) catalog.TypeRef {
	if o.Aggregate == nil {
		return o.Column.Type
	}
	switch o.Aggregate.Function {
	case "count":
		return bigint
	case "min", "max":
		return o.Column.Type
	}
	return numeric
}

// paging reads which page is wanted.
func (p *planner) paging(s *plan.Select, args ast.ArgumentList, path string) error {
	given := func(name string) (input, bool) {
		in, ok := p.argument(args, name)
		return in, ok && !in.null()
	}
	for _, pair := range [][2]string{{schema.First, schema.Last}, {schema.After, schema.Before}} {
		_, one := given(pair[0])
		_, other := given(pair[1])
		if one && other {
			return errcode.New(errcode.ValidationFailed, "%q and %q are not allowed at once", pair[0], pair[1]).At(path)
		}
	}
	c := s.Connection
	for _, name := range []string{schema.First, schema.Last} {
		if in, ok := given(name); ok {
			v, err := in.param(bigint, path+"."+name)
			if err != nil {
				return err
			}
			s.Limit = append(s.Limit, bound(v))
			c.Backward = name == schema.Last
		}
	}
	for _, name := range []string{schema.After, schema.Before} {
		in, ok := given(name)
		if !ok {
			continue
		}
		text, err := in.param(textType, path+"."+name)
		if err != nil {
			return err
		}
		c.Sliced, c.Before = true, name == schema.Before
		for i := range c.Keys {
			at := &c.Keys[i].At
			at.From, at.Name, at.Items = filter.Encoded, path+"."+name, []filter.Param{text}
			for _, step := range c.Keys[i].Name {
				at.Path = append(at.Path, step)
			}
		}
	}
	return nil
}

func (p *planner) connectionMembers(c *plan.Connection, t *model.Table, f *operation.Field, path string) error {
	typeName := f.Definition.Type.Name()
	for _, m := range p.op.Fields(f.Selections, p.vars, typeName) {
		member := plan.ConnectionMember{Key: m.Key}
		var err error
		switch m.Name {
		case "pageInfo":
			member.Page = p.pageMembers(m)
		case "edges":
			member.Edges, err = p.edgeMembers(t, m, path+".selectionSet.edges")
		default:
			member.Text = &typeName
		}
		if err != nil {
			return err
		}
		c.Members = append(c.Members, member)
	}
	return nil
}

func (p *planner) pageMembers(f *operation.Field) []plan.PageMember {
	out := []plan.PageMember{}
	for _, m := range p.op.Fields(f.Selections, p.vars, schema.PageInfo) {
		member := plan.PageMember{Key: m.Key, Name: m.Name}
		if m.Name == "__typename" {
			name := schema.PageInfo
			member.Name, member.Text = "", &name
		}
		out = append(out, member)
	}
	return out
}

func (p *planner) edgeMembers(t *model.Table, f *operation.Field, path string) ([]plan.EdgeMember, error) {
	out := []plan.EdgeMember{}
	typeName := f.Definition.Type.Name()
	for _, m := range p.op.Fields(f.Selections, p.vars, typeName) {
		member := plan.EdgeMember{Key: m.Key}
		switch m.Name {
		case "cursor":
			member.Cursor = true
		case "node":
			output, err := p.output(t, m.Selections, path+".selectionSet.node")
			if err != nil {
				return nil, err
			}
			member.Node = append([]plan.Output{}, output...)
		default:
			member.Text = &typeName
		}
		out = append(out, member)
	}
	return out, nil
}
