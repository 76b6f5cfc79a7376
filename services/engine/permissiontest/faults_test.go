package permissiontest

import (
	"regexp"
	"strings"
	"testing"
)

// columnText is a column in SQL; names may hold quotes.
const columnText = `"t\d+"\."(?:[^"]|"")*"`

var (
	guardText  = regexp.MustCompile(`\(` + columnText + ` IS NOT NULL\)`)
	linkText   = regexp.MustCompile(`(EXISTS \(SELECT 1 FROM "public"\."(?:[^"]|"")*" AS "t\d+" WHERE )` + columnText + ` = ` + columnText)
	limitText  = regexp.MustCompile(` LIMIT \d+`)
	leastText  = regexp.MustCompile(` LIMIT least\(\d+, (\$\d+::int8)\)`)
	presetText = regexp.MustCompile(`("(?:[^"]|"")*") = ((?:\$\d+|NULL)::\w+)`)
)

// faults are what an engine could get wrong. What is not in the SQL is in role.
var faults = []struct {
	name string
	sql  fault
	role func(string) string
	// writes is how many of a hundred requests are mutations.
	writes int
}{
	{name: "a negation that makes unknown true", sql: unknownIsTrue},
	{name: "a dropped NULL guard", sql: func(sql string) string { return guardText.ReplaceAllString(sql, "true") }},
	{name: "OR for AND", sql: func(sql string) string { return strings.ReplaceAll(sql, ") AND (", ") OR (") }},
	{name: "a missing link to the parent in EXISTS", sql: func(sql string) string { return linkText.ReplaceAllString(sql, "${1}true") }},
	{name: "an ignored row limit", sql: func(sql string) string {
		return limitText.ReplaceAllString(leastText.ReplaceAllString(sql, " LIMIT $1"), "")
	}},
	{name: "a role whose case is folded", role: strings.ToLower},
	{name: "a cell that is shown in all rows", sql: func(sql string) string { return strings.ReplaceAll(sql, "CASE WHEN ", "CASE WHEN true OR ") }},
	{name: "a lost preset", sql: lostPreset, writes: 90},
	{name: "an upsert without the filter of the update", sql: unfilteredUpsert, writes: 90},
}

// mostWorlds is in how many worlds a fault has to show.
const mostWorlds = 60

// TestSeededFaultsAreFound makes sure that the comparison can fail: the engine's
// SQL is changed on its way to Postgres.
func TestSeededFaultsAreFound(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, f.sql)
			if f.role != nil {
				b.roleOf = f.role
			}
			if f.writes > 0 {
				b.writes = f.writes
			}
			for world := range mostWorlds {
				difference := b.world(1, world, casesPerWorld)
				if f.sql != nil && strings.Contains(difference, engineRefuses) {
					t.Fatalf("the fault is an error of its own, not a wrong answer: %.2000s", difference)
				}
				if difference != "" {
					return
				}
			}
			t.Errorf("the fault was not found: %s", b.counts())
		})
	}
}

// unknownIsTrue turns NOT into IS NOT TRUE.
func unknownIsTrue(sql string) string {
	for at := 0; ; {
		found := strings.Index(sql[at:], "(NOT ")
		if found < 0 {
			return sql
		}
		from := at + found
		to := closing(sql, from)
		sql = sql[:from] + "((" + sql[from+len("(NOT "):to] + ") IS NOT TRUE)" + sql[to+1:]
		at = from + 1
	}
}

// closing is where the parenthesis at from ends.
func closing(sql string, from int) int {
	depth, quoted := 0, false
	for i := from; i < len(sql); i++ {
		switch {
		case sql[i] == '"':
			quoted = !quoted
		case quoted:
		case sql[i] == '(':
			depth++
		case sql[i] == ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	panic("no end in " + sql)
}

// upsertClause is the part of an upsert from DO UPDATE SET to RETURNING.
func upsertClause(sql string) (before, clause, after string) {
	before, rest, ok := strings.Cut(sql, " DO UPDATE SET ")
	if !ok {
		return sql, "", ""
	}
	clause, after, _ = strings.Cut(rest, " RETURNING ")
	return before + " DO UPDATE SET ", clause, " RETURNING " + after
}

// lostPreset leaves columns as they were that the engine is to set. A client's
// columns take the values of excluded, so only presets are values.
func lostPreset(sql string) string {
	before, clause, after := upsertClause(sql)
	set, where, filtered := strings.Cut(clause, " WHERE ")
	set = presetText.ReplaceAllString(set, `$1 = CASE WHEN true THEN "t1".$1 ELSE $2 END`)
	if filtered {
		set += " WHERE " + where
	}
	return before + set + after
}

func unfilteredUpsert(sql string) string {
	before, clause, after := upsertClause(sql)
	if set, where, ok := strings.Cut(clause, " WHERE "); ok {
		clause = set + " WHERE (" + where + " OR true)"
	}
	return before + clause + after
}
