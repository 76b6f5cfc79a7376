package dialect

import (
	"encoding/json"
	"strings"

	"tenantry/services/engine/plan"
	"tenantry/tenants/catalog"
)

// quote makes an identifier of any name. NUL can't stand in a Postgres name and
// is dropped, so that it can't end one early either.
func quote(name string) string {
	return `"` + strings.ReplaceAll(strings.ReplaceAll(name, "\x00", ""), `"`, `""`) + `"`
}

func (w *writer) ident(name string) { w.text(quote(name)) }

// column writes a column of the row, or the call of what computes it.
func (w *writer) column(row *scope, name string) {
	if f := row.computed[name]; f != nil && strings.HasPrefix(name, computedPrefix) {
		w.call(f, row)
		return
	}
	for i, key := range row.keys {
		if name == plan.JoinKey(i) {
			w.bind(Param{Key: i + 1}, key.Type)
			return
		}
	}
	w.text(quote(row.alias) + "." + quote(name))
}

func (w *writer) table(name catalog.Name) {
	w.tables++
	w.text(quote(name.Schema) + "." + quote(name.Name))
}

// literal writes a string constant of our own: a key of the response or a type
// name, never data. The E form does not depend on standard_conforming_strings.
func (w *writer) literal(s string) {
	if !strings.ContainsAny(s, `\`) {
		w.text("'" + strings.ReplaceAll(s, "'", "''") + "'")
		return
	}
	w.text("E'" + strings.NewReplacer(`\`, `\\`, "'", "''").Replace(s) + "'")
}

// jsonKey is a key of an object with its colon. Commands name their members like
// the database does, with any letters.
func jsonKey(key string) string {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(key) // a string always encodes
	return strings.TrimSuffix(out.String(), "\n") + ":"
}

// typeName writes a type for a cast. Types of the system stand without schema
// unless their bare name means something else: "char", and bit without a length.
func typeName(t catalog.TypeRef) string {
	name := quote(t.Schema) + "." + quote(t.Name)
	if t.Schema == "pg_catalog" && plain(t.Name) {
		name = t.Name
	}
	if t.Array() {
		name += "[]"
	}
	return name
}

func plain(name string) bool {
	if name == "char" || name == "bit" {
		return false
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
