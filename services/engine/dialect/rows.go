package dialect

import (
	"tenantry/services/engine/plan"
	"tenantry/services/engine/rowjson"
)

// minPlain is the least number of columns with which a list is read as plain
// rows. With fewer, JSON that Postgres builds costs the same (perf-measured).
const minPlain = 5

// forms are the types whose text has a form of its own; they are Postgres's own,
// by name. All other values are made JSON by Postgres.
var forms = map[string]rowjson.Form{
	"int2": rowjson.Number, "int4": rowjson.Number, "int8": rowjson.Number, "numeric": rowjson.Number,
	"float4": rowjson.Number, "float8": rowjson.Number, "bool": rowjson.Boolean,
	"text": rowjson.Text, "varchar": rowjson.Text, "bpchar": rowjson.Text, "name": rowjson.Text, "uuid": rowjson.Text,
	"bytea": rowjson.Text, "date": rowjson.Text, "time": rowjson.Text, "timetz": rowjson.Text, "interval": rowjson.Text,
	"timestamp": rowjson.Timestamp, "timestamptz": rowjson.Instant, "json": rowjson.Verbatim, "jsonb": rowjson.Verbatim,
}

// plainColumns tells how a list is read as plain rows; nil says that it isn't.
func plainColumns(s *plan.Select) []rowjson.Column {
	if s.Shape != plan.List || s.Connection != nil || len(s.Output) < minPlain {
		return nil
	}
	out := make([]rowjson.Column, len(s.Output))
	plain := 0
	for i, o := range s.Output {
		out[i].Key = []byte(jsonKey(o.Key))
		if o.Nested != nil || o.Join != nil { // JSON already
			continue
		}
		plain++
		if c := o.Column; c != nil {
			out[i].Form, _ = formOf(c)
		} else if o.Text != nil {
			out[i].Form = rowjson.Text
		}
	}
	if plain < minPlain {
		return nil
	}
	return out
}

// formOf is the form of a column; made says that Postgres has to make it JSON.
func formOf(c *plan.Column) (form rowjson.Form, made bool) {
	if c.Type.Schema != "pg_catalog" || c.Type.Array() || len(c.Cases) > 0 || c.GeoJSON || c.Upper || c.AsText {
		return rowjson.Verbatim, true
	}
	form, known := forms[c.Type.Name] // part of a json value is json too
	return form, !known
}

// plain writes the rows of s as they are.
func (w *writer) plain(s *plan.Select) {
	row := &scope{alias: w.alias()}
	w.text("SELECT ")
	w.distinct(s, row)
	for i, o := range s.Output {
		w.comma(i)
		made := o.Node != nil
		if o.Column != nil {
			_, made = formOf(o.Column)
		}
		if made {
			w.text("to_json(")
		}
		w.output(o, row)
		if made {
			w.text(")")
		}
	}
	w.text(" FROM ")
	w.from(s, row)
	w.orderBy(s.OrderBy, row)
	w.bounds(s)
}
