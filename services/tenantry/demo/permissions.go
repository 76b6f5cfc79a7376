package demo

import (
	"encoding/json"
	"fmt"
	"strings"
)

// metadataDocument is what the demo needs to know of a project's metadata.
type metadataDocument struct {
	Sources []struct {
		Tables []map[string]json.RawMessage `json:"tables"`
	} `json:"sources"`
}

// missing are those of the commands whose permission the document does not have.
func (m metadataDocument) missing(commands []byte) ([]json.RawMessage, error) {
	have, err := m.permissions()
	if err != nil {
		return nil, err
	}
	var all []json.RawMessage
	if err := json.Unmarshal(commands, &all); err != nil {
		return nil, err
	}
	var out []json.RawMessage
	for _, raw := range all {
		var c struct {
			Type string
			Args struct{ Table, Role string }
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, err
		}
		operation := strings.TrimSuffix(strings.TrimPrefix(c.Type, "pg_create_"), "_permission")
		if !have[permissionKey(c.Args.Table, operation, c.Args.Role)] {
			out = append(out, raw)
		}
	}
	return out, nil
}

// permissions are the permissions of the document by table, operation and role.
func (m metadataDocument) permissions() (map[string]bool, error) {
	have := map[string]bool{}
	for _, source := range m.Sources {
		for _, table := range source.Tables {
			var name struct{ Name string }
			if err := json.Unmarshal(table["table"], &name); err != nil {
				return nil, fmt.Errorf("the metadata's tables cannot be read: %w", err)
			}
			for _, operation := range []string{"select", "insert", "update", "delete"} {
				var list []struct{ Role string }
				if raw := table[operation+"_permissions"]; raw != nil {
					if err := json.Unmarshal(raw, &list); err != nil {
						return nil, fmt.Errorf("the metadata's permissions cannot be read: %w", err)
					}
				}
				for _, p := range list {
					have[permissionKey(name.Name, operation, p.Role)] = true
				}
			}
		}
	}
	return have, nil
}

func permissionKey(table, operation, role string) string { return table + " " + operation + " " + role }
