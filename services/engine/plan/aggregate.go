package plan

import "tenantry/policy/filter"

// Aggregate is what an aggregate field answers: an object of the members, all
// about the rows that the Select around it chooses.
type Aggregate struct {
	Members []AggregateMember
}

// Tie correlates the nodes with the row around the aggregate.
func (a *Aggregate) Tie(on []filter.Pair) {
	for i := range a.Members {
		if a.Members[i].Nodes != nil {
			a.Members[i].Nodes.On = on
		}
	}
}

// AggregateMember is one member. Exactly one of the last three is set.
type AggregateMember struct {
	Key string
	// Values are the functions of an "aggregate"; empty but not nil when
	// directives left all of them out.
	Values []AggregateValue
	// Nodes are the rows themselves: a whole selection of its own, because the
	// permission's limit is about rows only.
	Nodes *Select
	Text  *string
}

// AggregateValue is one value of an aggregate, or an object of them.
type AggregateValue struct {
	Key      string
	Function string // count, sum, avg, …; empty for Text
	// Columns of a count; none counts rows.
	Columns  []Column
	Distinct bool
	// Fields of any other function, one per column.
	Fields []AggregateField
	Text   *string
}

// AggregateField is one column of a function, or a constant.
type AggregateField struct {
	Key    string
	Column *Column
	Text   *string
}

// OrderAggregate sorts by an aggregate of related rows.
type OrderAggregate struct {
	// Of are the related rows.
	Of Hop
	// Function is count, or a function over Order.Column.
	Function string
}

// Columns are the columns that the values and nodes are made from; database
// names.
func (a *Aggregate) Columns() []string {
	var names []string
	for _, m := range a.Members {
		for _, v := range m.Values {
			for _, c := range v.Columns {
				names = append(names, c.Name)
			}
			for _, f := range v.Fields {
				if f.Column != nil {
					names = append(names, f.Column.Name)
				}
			}
		}
		if m.Nodes == nil {
			continue
		}
		for _, o := range m.Nodes.Output {
			if o.Column != nil {
				names = append(names, o.Column.Name)
			}
		}
	}
	return names
}
