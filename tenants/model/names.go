package model

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
)

// baseNames are the names that a table's types and its root fields are made
// from. They differ only by the convention; a custom name is kept as it is.
func (n *Naming) baseNames(name catalog.Name, configuration *metadata.TableConfiguration) (ofTypes, ofRoots string) {
	bare := name.Schema + "_" + name.Name
	switch {
	case configuration.CustomName != "":
		return configuration.CustomName, configuration.CustomName
	case name.Schema == "public":
		bare = name.Name
	}
	if n.Camel {
		return pascal(bare), camel(bare)
	}
	return bare, bare
}

// columnName is the GraphQL name of a column and whether the metadata gave it.
func (n *Naming) columnName(stored string, configuration *metadata.TableConfiguration) (string, bool) {
	if name := configuration.ColumnConfig[stored].CustomName; name != "" {
		return name, true
	}
	if name := configuration.CustomColumnNames[stored]; name != "" {
		return name, true
	}
	if n.Camel && usableName(stored) {
		return camel(stored), false
	}
	return stored, false
}

// rootFields are the names of a table's root fields after customization. The
// error names the key that is wrong.
func rootFields(t *Table, base string, configuration *metadata.TableConfiguration) (RootFields, error) {
	var root RootFields
	for _, f := range []struct {
		key, name, comment string
		field              *RootField
	}{
		{"select", "%s", "fetch data from the table: %q", &root.Select},
		{"select_by_pk", "%s_by_pk", "fetch data from the table: %q using primary key columns", &root.SelectByPK},
		{"select_aggregate", "%s_aggregate", "fetch aggregated fields from the table: %q", &root.SelectAggregate},
		{"select_stream", "%s_stream", "fetch data from the table in a streaming manner: %q", &root.SelectStream},
		{"insert", "insert_%s", "insert data into the table: %q", &root.Insert},
		{"insert_one", "insert_%s_one", "insert a single row into the table: %q", &root.InsertOne},
		{"update", "update_%s", "update data of the table: %q", &root.Update},
		{"update_by_pk", "update_%s_by_pk", "update single row of the table: %q", &root.UpdateByPK},
		{"update_many", "update_%s_many", "update multiples rows of table: %q", &root.UpdateMany},
		{"delete", "delete_%s", "delete data from the table: %q", &root.Delete},
		{"delete_by_pk", "delete_%s_by_pk", "delete single row from the table: %q", &root.DeleteByPK},
	} {
		*f.field = RootField{Name: t.Naming.rootField(f.name, base), Comment: fmt.Sprintf(f.comment, ShortName(t.Name))}
		if err := customize(f.field, configuration.CustomRootFields[f.key]); err != nil {
			return root, fmt.Errorf("custom_root_fields.%s: %w", f.key, err)
		}
		f.field.Name = t.Naming.root(f.field.Name)
	}
	return root, nil
}

// customize applies a name, or {name, comment}, to a root field.
func customize(field *RootField, custom json.RawMessage) error {
	custom = bytes.TrimSpace(custom)
	if len(custom) == 0 || string(custom) == "null" {
		return nil
	}
	var given struct {
		Name    *string `json:"name"`
		Comment *string `json:"comment"`
	}
	if custom[0] == '"' {
		given.Name = new(string)
		if err := json.Unmarshal(custom, given.Name); err != nil {
			return err
		}
	} else if err := json.Unmarshal(custom, &given); err != nil {
		return fmt.Errorf("expected a name or {name, comment}")
	}
	if given.Name != nil && *given.Name != "" {
		if !usableName(*given.Name) {
			return fmt.Errorf("%q is not a valid GraphQL name", *given.Name)
		}
		field.Name = *given.Name
	}
	if given.Comment != nil {
		field.Comment = *given.Comment
	}
	return nil
}

// names says who owns each name: root fields by root type, and types.
type names struct {
	roots map[string]map[string]string
	types map[string]string
}

// claimRoots takes names for an owner, all or none. The error names both owners.
func (n *names) claimRoots(owner string, fields map[string][]string) error {
	// Mutations are looked at first, and a field for queries is one for
	// subscriptions too, which messages name.
	ordered := slices.Sorted(maps.Keys(fields))
	slices.Reverse(ordered)
	slices.SortStableFunc(ordered, func(a, b string) int {
		return cmp.Compare(strings.Index(b, "mutation"), strings.Index(a, "mutation"))
	})
	for _, root := range ordered {
		seen := map[string]bool{}
		var clashes []string
		for _, name := range fields[root] {
			other, taken := n.roots[root][name]
			if seen[name] {
				other, taken = owner, true
			}
			seen[name] = true
			if taken {
				owners := []string{other, owner}
				slices.Sort(owners)
				clashes = append(clashes, fmt.Sprintf("'%s' defined in [%s]", name, strings.Join(owners, ", ")))
			}
		}
		if len(clashes) == 0 {
			continue
		}
		what := "field " + clashes[0]
		if len(clashes) > 1 {
			slices.Reverse(clashes)
			what = "fields: [\n  " + strings.Join(clashes, ",\n  ") + "\n]"
		}
		return fmt.Errorf("Encountered conflicting definitions in the selection set for '%s' for %s. "+
			"Fields must not be defined more than once across all sources.", root, what)
	}
	for root, list := range fields {
		for _, name := range list {
			if n.roots[root] == nil {
				n.roots[root] = map[string]string{}
			}
			n.roots[root][name] = owner
		}
	}
	return nil
}

// claimTypes takes type names for an owner, all or none.
func (n *names) claimTypes(owner string, types []string) error {
	for _, name := range types {
		if other, taken := n.types[name]; taken {
			return fmt.Errorf("the type name %q of %s is already used by %s", name, owner, other)
		}
	}
	for _, name := range types {
		n.types[name] = owner
	}
	return nil
}

// typeSuffixes are those of the types that a table generates.
var typeSuffixes = strings.Fields(`_bool_exp _order_by _select_column _aggregate _aggregate_fields _aggregate_order_by
_aggregate_bool_exp _avg_fields _sum_fields _min_fields _max_fields _stddev_fields _stddev_pop_fields _stddev_samp_fields
_variance_fields _var_pop_fields _var_samp_fields _insert_input _set_input _inc_input _append_input _prepend_input
_delete_key_input _delete_elem_input _delete_at_path_input _pk_columns_input _updates _mutation_response _on_conflict
_constraint _update_column _obj_rel_insert_input _arr_rel_insert_input _stream_cursor_input _stream_cursor_value_input
_aggregate_bool_exp_count _aggregate_bool_exp_bool_and _aggregate_bool_exp_bool_or _avg_order_by _sum_order_by _min_order_by
_max_order_by _stddev_order_by _stddev_pop_order_by _stddev_samp_order_by _variance_order_by _var_pop_order_by _var_samp_order_by`)

// generated are the names of a table's types.
func (t *Table) generated() []string {
	all := []string{t.Type}
	for _, suffix := range typeSuffixes {
		all = append(all, t.TypeName(suffix))
	}
	return all
}

// rootNames are the root fields that exist for some role, by root type.
func (t *Table) rootNames() map[string][]string {
	read := []string{t.Root.Select.Name, t.Root.SelectAggregate.Name}
	var write []string
	key := len(t.PrimaryKey) > 0
	if key {
		read = append(read, t.Root.SelectByPK.Name)
	}
	if t.Insertable {
		write = append(write, t.Root.Insert.Name, t.Root.InsertOne.Name)
	}
	if t.Updatable {
		write = append(write, t.Root.Update.Name)
		if key {
			write = append(write, t.Root.UpdateByPK.Name)
		}
		write = append(write, t.Root.UpdateMany.Name)
	}
	if t.Deletable {
		write = append(write, t.Root.Delete.Name)
		if key {
			write = append(write, t.Root.DeleteByPK.Name)
		}
	}
	return map[string][]string{
		t.Naming.Root(QueryRoot):        read,
		t.Naming.Root(SubscriptionRoot): append(slices.Clone(read), t.Root.SelectStream.Name),
		t.Naming.Root(MutationRoot):     write,
	}
}

// claimNames lets every table take its names; one whose name is taken is left
// out. A scalar that has the name of a table's type, as a composite type has, is
// renamed: its columns stay.
func (r *resolver) claimNames() {
	r.names = names{roots: map[string]map[string]string{}, types: map[string]string{}}
	r.claimNamespaces()
	for _, name := range append(strings.Fields("query_root mutation_root subscription_root order_by cursor_ordering"),
		"Int", "Float", "String", "Boolean", "ID") {
		r.names.types[name] = "the engine"
	}
	r.model.Tables = slices.DeleteFunc(r.model.Tables, func(t *Table) bool {
		err := r.names.claimRoots(t.owner(), t.rootNames())
		if err == nil {
			if err = r.names.claimTypes(t.owner(), t.generated()); err != nil {
				r.names.releaseRoots(t.owner(), t.rootNames())
			}
		}
		if err == nil {
			return false
		}
		r.report(t.inconsistency(t.Pointer, err.Error()))
		delete(r.model.byName, tableKey{t.Source, t.Name})
		return true
	})
	for _, t := range r.model.Tables {
		for _, c := range t.stored {
			if _, taken := r.names.types[c.Scalar]; taken && !builtIn(c.Scalar) {
				c.Scalar += "_scalar"
			}
		}
	}
}

// releaseRoots gives back the root fields of an owner that is left out.
func (n *names) releaseRoots(owner string, fields map[string][]string) {
	for root, list := range fields {
		for _, name := range list {
			if n.roots[root][name] == owner {
				delete(n.roots[root], name)
			}
		}
	}
}

// builtIn reports whether GraphQL itself has the scalar.
func builtIn(name string) bool {
	switch name {
	case "Int", "Float", "String", "Boolean", "ID":
		return true
	}
	return false
}
