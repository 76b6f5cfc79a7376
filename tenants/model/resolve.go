package model

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
)

// Resolve fits a document to the catalogs of its sources, by source name. It
// never fails: what does not fit becomes an inconsistency and everything else is
// served. Neither doc nor catalogs is modified; the model keeps both.
func Resolve(doc *metadata.Document, catalogs map[string]*catalog.Catalog, options Options) *Model {
	r := &resolver{options: options, namings: map[string]*Naming{}, model: &Model{
		Types:    map[string]*Type{},
		Enums:    map[string]*TableEnum{},
		Catalogs: catalogs,
		Metadata: doc,
		byName:   map[tableKey]*Table{},
		byType:   map[string]*Table{},
	}}
	r.reportUnsupported()
	for i := range doc.Sources {
		r.source(i)
	}
	slices.SortFunc(r.model.Tables, func(a, b *Table) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source),
			cmp.Compare(a.Name.Schema, b.Name.Schema), cmp.Compare(a.Name.Name, b.Name.Name))
	})
	r.claimNames()
	r.enums()
	for _, t := range r.model.Tables {
		r.relationships(t)
	}
	for _, t := range r.model.Tables {
		r.computedFields(t)
		r.eventTriggers(t)
	}
	for _, t := range r.model.Tables {
		r.remoteRelationships(t)
	}
	r.functions()
	r.logicalModels()
	r.nativeQueries()
	r.customTypes()
	r.actions()
	r.model.Roles = roles(doc)
	r.inheritedRoles()
	for _, t := range r.model.RowTypes() {
		r.model.byType[t.Type] = t
	}
	return r.model
}

// Options change how a document is read.
type Options struct {
	// IgnoreNamingConventions makes all names as the database has them, whatever
	// convention a source asks for.
	IgnoreNamingConventions bool
}

// resolver is a model in the making.
type resolver struct {
	model   *Model
	options Options
	names   names
	// namings of the sources, by name.
	namings map[string]*Naming
	// scalars of the columns, made when first asked for.
	scalars map[string]bool
}

func (r *resolver) report(i Inconsistency) {
	r.model.Inconsistencies = append(r.model.Inconsistencies, i)
}

// warn tells of what the database has and GraphQL can't show.
func (r *resolver) warn(i Inconsistency) {
	i.Reason = strings.TrimPrefix(i.Reason, reasonPrefix)
	r.model.Warnings = append(r.model.Warnings, i)
}

func (r *resolver) source(at int) {
	doc := &r.model.Metadata.Sources[at]
	pointer := fmt.Sprintf("$.sources[%d]", at)
	fail := func(reason string) {
		r.report(Inconsistency{Type: "source", Name: doc.Name, Definition: doc.Name,
			Reason: reasonPrefix + reason, Pointer: pointer})
	}
	if doc.Kind != "postgres" {
		fail(fmt.Sprintf("sources of kind %q are not supported by this version", doc.Kind))
		return
	}
	c, ok := r.model.Catalogs[doc.Name]
	if !ok || c == nil {
		fail(fmt.Sprintf("the tables of the database of source %q are not known", doc.Name))
		return
	}
	stored := make(map[catalog.Name]*catalog.Table, len(c.Tables))
	for i := range c.Tables {
		stored[c.Tables[i].Name] = &c.Tables[i]
	}
	naming := r.naming(doc)
	for i := range doc.Tables {
		r.table(doc.Name, naming, c, stored, &doc.Tables[i], fmt.Sprintf("%s.tables[%d]", pointer, i))
	}
}

// table adds a tracked table without its relationships.
func (r *resolver) table(source string, naming *Naming, c *catalog.Catalog, stored map[catalog.Name]*catalog.Table, doc *metadata.Table, pointer string) {
	name := catalog.Name{Schema: doc.Table.Schema, Name: doc.Table.Name}
	t := &Table{Source: source, Name: name, Naming: naming, Metadata: doc, Pointer: pointer}
	fail := func(reason string) { r.report(t.inconsistency(pointer, reason)) }
	relation, ok := stored[name]
	if !ok {
		fail(fmt.Sprintf("no such table/view exists in source: %q", ShortName(name)))
		return
	}
	if _, twice := r.model.byName[tableKey{source, name}]; twice {
		fail(fmt.Sprintf("the table %q is tracked twice", ShortName(name)))
		return
	}
	configuration := doc.Configuration
	if configuration == nil {
		configuration = &metadata.TableConfiguration{}
	}
	t.Catalog = relation
	t.Insertable, t.Updatable, t.Deletable = relation.Insertable, relation.Updatable, relation.Deletable
	t.Comment = relation.Comment
	if configuration.Comment != nil {
		t.Comment = *configuration.Comment
	}
	base, rootBase := naming.baseNames(name, configuration)
	switch {
	case usableName(base):
	case configuration.CustomName != "":
		fail(fmt.Sprintf("the custom name %q of the table %q is not a valid GraphQL name", base, ShortName(name)))
		return
	default: // it may be tracked, so that a name can be given later
		r.warn(t.inconsistency(pointer, fmt.Sprintf("the table %q is left out: %q is not a valid GraphQL name; give it a custom_name",
			ShortName(name), base)))
		return
	}
	t.Base = base
	t.Type = t.TypeName("")
	root, err := rootFields(t, rootBase, configuration)
	if err != nil {
		fail(err.Error())
		return
	}
	t.Root = root
	r.columns(c, t, configuration)
	t.constraints()
	r.model.Tables = append(r.model.Tables, t)
	r.model.byName[tableKey{source, name}] = t
}

// columns fills the table's columns; one that can't be shown is left out.
func (r *resolver) columns(c *catalog.Catalog, t *Table, configuration *metadata.TableConfiguration) {
	t.columns = make(map[string]*Column, len(t.Catalog.Columns))
	t.stored = make(map[string]*Column, len(t.Catalog.Columns))
	for i := range t.Catalog.Columns {
		column := resolveColumn(c, &t.Catalog.Columns[i])
		t.stored[column.StoredName()] = column
		name, custom := t.Naming.columnName(column.StoredName(), configuration)
		if given := configuration.ColumnConfig[column.StoredName()].Comment; given != nil {
			column.Comment = *given
		}
		other, taken := t.columns[name]
		switch {
		case !usableName(name) && !custom:
			r.warn(t.inconsistency(t.Pointer, fmt.Sprintf("the column %q of the table %q is left out: not a valid GraphQL name",
				name, ShortName(t.Name))))
			continue
		case !usableName(name):
			r.report(t.inconsistency(t.Pointer+".configuration", fmt.Sprintf("the custom name %q of the column %q is not a valid GraphQL name",
				name, column.StoredName())))
			continue
		case taken:
			r.report(t.inconsistency(t.Pointer+".configuration", fmt.Sprintf("the columns %q and %q have the same GraphQL name %q",
				other.StoredName(), column.StoredName(), name)))
			continue
		}
		column.Name = name
		t.Columns = append(t.Columns, column)
		t.columns[name] = column
	}
	for _, configured := range configuredColumns(configuration) {
		if _, ok := t.stored[configured]; !ok {
			r.report(t.inconsistency(t.Pointer+".configuration", fmt.Sprintf("column %q of the configuration does not exist in table %q",
				configured, ShortName(t.Name))))
		}
	}
}

func resolveColumn(c *catalog.Catalog, stored *catalog.Column) *Column {
	column := &Column{Column: *stored, Comment: stored.Comment, Scalar: ScalarOf(c, stored.Type), Base: Base(c, stored.Type)}
	of := c.Types[column.Base.Schema+"."+column.Base.Name]
	column.Category, column.Lacks = of.Category, of.Lacks
	return column
}

func configuredColumns(configuration *metadata.TableConfiguration) []string {
	all := map[string]bool{}
	for name := range configuration.ColumnConfig {
		all[name] = true
	}
	for name := range configuration.CustomColumnNames {
		all[name] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// constraints fills PrimaryKey and Constraints.
func (t *Table) constraints() {
	t.Constraints = slices.Clone(t.Catalog.Uniques)
	if key := t.Catalog.PrimaryKey; key != nil {
		t.Constraints = append(t.Constraints, *key)
		for _, name := range key.Columns {
			column, ok := t.stored[name]
			if !ok || column.Name == "" {
				t.PrimaryKey = nil
				break
			}
			t.PrimaryKey = append(t.PrimaryKey, column)
		}
	}
	slices.SortFunc(t.Constraints, func(a, b catalog.Constraint) int { return cmp.Compare(a.Name, b.Name) })
}

func (t *Table) inconsistency(pointer, reason string) Inconsistency {
	return Inconsistency{Type: "table", Name: t.owner(), Definition: t.Metadata.Table, Reason: reasonPrefix + reason, Pointer: pointer}
}

// roles collects the roles that permissions name.
func roles(doc *metadata.Document) []string {
	all := map[string]bool{}
	for _, source := range doc.Sources {
		for _, t := range source.Tables {
			for _, p := range t.SelectPermissions {
				all[p.Role] = true
			}
			for _, p := range t.InsertPermissions {
				all[p.Role] = true
			}
			for _, p := range t.UpdatePermissions {
				all[p.Role] = true
			}
			for _, p := range t.DeletePermissions {
				all[p.Role] = true
			}
		}
		for _, f := range source.Functions {
			for _, p := range f.Permissions {
				all[p.Role] = true
			}
		}
		for _, m := range source.LogicalModels {
			for _, p := range m.SelectPermissions {
				all[p.Role] = true
			}
		}
	}
	for _, a := range doc.Actions {
		for _, p := range a.Permissions {
			all[p.Role] = true
		}
	}
	delete(all, "admin")
	return slices.Sorted(maps.Keys(all))
}
