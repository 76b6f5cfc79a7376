package revision

import (
	"tenantry/services/engine/introspect"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
)

// changes is what SQL did to the tables and functions that a source's metadata
// names.
func changes(source *metadata.Source, before, after *introspect.Identities) ([]metadata.TableChange, []metadata.FunctionChange) {
	tracked := map[catalog.Name]bool{}
	functions := map[catalog.Name]bool{}
	for _, t := range source.Tables {
		tracked[catalog.Name{Schema: t.Table.Schema, Name: t.Table.Name}] = true
		for _, c := range t.ComputedFields {
			functions[catalog.Name{Schema: c.Definition.Function.Schema, Name: c.Definition.Function.Name}] = true
		}
	}
	for _, f := range source.Functions {
		functions[catalog.Name{Schema: f.Function.Schema, Name: f.Function.Name}] = true
	}
	var tables []metadata.TableChange
	now := map[catalog.Name]introspect.TableIdentity{}
	for _, t := range after.Tables {
		now[t.Name] = t
	}
	for oid, was := range before.Tables {
		if !tracked[was.Name] {
			continue
		}
		is, ok := after.Tables[oid]
		if !ok {
			// A table made anew under the name is taken for the same one.
			if again, made := now[was.Name]; made {
				tables = append(tables, remade(was, again))
				continue
			}
			tables = append(tables, metadata.TableChange{From: tableOf(was.Name), To: tableOf(was.Name), Dropped: true})
			continue
		}
		change := metadata.TableChange{From: tableOf(was.Name), To: tableOf(is.Name)}
		for number, column := range was.Columns {
			same, kept := is.Columns[number]
			change.Columns = append(change.Columns, columnChange(column, same, kept))
		}
		tables = append(tables, change)
	}
	return tables, functionChanges(functions, before, after)
}

// remade compares a table with its successor by the names of columns.
func remade(was, is introspect.TableIdentity) metadata.TableChange {
	change := metadata.TableChange{From: tableOf(was.Name), To: tableOf(was.Name)}
	named := map[string]introspect.ColumnIdentity{}
	for _, c := range is.Columns {
		named[c.Name] = c
	}
	for _, c := range was.Columns {
		same, kept := named[c.Name]
		change.Columns = append(change.Columns, columnChange(c, same, kept))
	}
	return change
}

func columnChange(was, is introspect.ColumnIdentity, kept bool) metadata.ColumnChange {
	if !kept {
		return metadata.ColumnChange{From: was.Name, To: was.Name, Dropped: true}
	}
	return metadata.ColumnChange{From: was.Name, To: is.Name, Retyped: was.Type != is.Type}
}

// functionChanges tells functions apart by their identity: one that was dropped
// and made anew under its name is another.
func functionChanges(named map[catalog.Name]bool, before, after *introspect.Identities) []metadata.FunctionChange {
	was, is := overloads(before), overloads(after)
	var out []metadata.FunctionChange
	for name := range named {
		b, a := was[name], is[name]
		if len(b) == 0 {
			continue
		}
		change := metadata.FunctionChange{Name: tableOf(name), Dropped: len(a) == 0, Overloaded: len(a) > 1 && len(b) == 1}
		remade := false
		for oid, function := range b {
			now, kept := a[oid]
			remade = remade || !kept
			change.Volatile = change.Volatile || kept && now.Volatile && !function.Volatile
		}
		change.Remade = remade && len(b) == 1 && len(a) > 0 && !change.Overloaded
		if change.Dropped || change.Overloaded || change.Volatile || change.Remade {
			out = append(out, change)
		}
	}
	return out
}

// overloads are functions by name and oid.
func overloads(all *introspect.Identities) map[catalog.Name]map[string]introspect.FunctionIdentity {
	out := map[catalog.Name]map[string]introspect.FunctionIdentity{}
	for oid, f := range all.Functions {
		if out[f.Name] == nil {
			out[f.Name] = map[string]introspect.FunctionIdentity{}
		}
		out[f.Name][oid] = f
	}
	return out
}

func tableOf(name catalog.Name) metadata.TableName {
	return metadata.TableName{Schema: name.Schema, Name: name.Name}
}
