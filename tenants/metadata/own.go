package metadata

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tenantry/api/errcode"
)

// KeepsOwn refuses that doc takes the place of before if it would lose keys that
// the dialect doesn't have. A tool that doesn't know them leaves them out, and
// columns that were masked would be shown.
func KeepsOwn(before, doc *Document) error {
	if lost := lostOwn(before, doc); len(lost) > 0 {
		return fail(errcode.InvalidParams, "the document would lose %s: keep them, or ask for drop_own", shortList(lost))
	}
	return nil
}

// maxListed bounds what one message names.
const maxListed = 20

func shortList(names []string) string {
	if len(names) <= maxListed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), len(names)-maxListed)
}

// lostOwn names the keys that are gone although what had them is still there.
func lostOwn(before, doc *Document) []string {
	var lost []string
	for i := range before.Sources {
		old := &before.Sources[i]
		s, err := doc.source(old.Name)
		if err != nil {
			continue
		}
		if old.Configuration.ConnectionInfo.UsePreparedStatements != nil && s.Configuration.ConnectionInfo.UsePreparedStatements == nil {
			lost = append(lost, fmt.Sprintf("use_prepared_statements of source %q", s.Name))
		}
		for j := range old.Tables {
			if k := s.find(old.Tables[j].Table); k >= 0 {
				lost = append(lost, lostMasks(s.Name, &old.Tables[j], &s.Tables[k])...)
			}
		}
	}
	return append(lost, lostTests(before, doc)...)
}

// lostMasks names the masks of columns that a role would then see.
func lostMasks(source string, before, table *Table) []string {
	var lost []string
	for _, old := range before.SelectPermissions {
		i := slices.IndexFunc(table.SelectPermissions, func(p SelectPermission) bool { return p.Role == old.Role })
		if i < 0 {
			continue
		}
		now := table.SelectPermissions[i].Permission
		for _, column := range slices.Sorted(maps.Keys(old.Permission.Masks)) {
			_, masked := now.Masks[column]
			if !masked && (now.Columns.All || slices.Contains(now.Columns.List, column)) {
				lost = append(lost, fmt.Sprintf("the mask of column %q of table %q in source %q for role %q", column, table.Table, source, old.Role))
			}
		}
	}
	return lost
}
