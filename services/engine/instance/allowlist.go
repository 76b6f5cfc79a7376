package instance

import (
	"strings"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/policy/allowlist"
	"tenantry/services/engine/operation"
	"tenantry/tenants/metadata"
)

// allowedOperations makes the allow-list of a revision: the operations of all
// collections that the metadata allows.
func allowedOperations(c Config) *allowlist.List {
	collections := map[string][]metadata.NamedQuery{}
	for _, q := range c.Document.QueryCollections {
		collections[q.Name] = q.Definition.Queries
	}
	match := allowlist.Match(c.Settings.AllowlistMatch)
	var entries []allowlist.Entry
	for _, allowed := range c.Document.Allowlist {
		var roles []string
		if allowed.Scope != nil && !allowed.Scope.Global {
			roles = append([]string{}, allowed.Scope.Roles...)
		}
		documents := isDocuments(allowed.Collection)
		for _, q := range collections[allowed.Collection] {
			shape, err := operation.ShapeOf(q.Query, "", match)
			if err != nil {
				continue // never equal to an operation that parses
			}
			e := allowlist.Entry{Shape: shape, Collection: allowed.Collection, Text: q.Query, Roles: roles}
			if documents {
				e.ID = q.Name
			}
			entries = append(entries, e)
		}
	}
	modes := allowlist.Modes{Default: allowlist.Mode(c.Settings.AllowlistMode), PerRole: map[string]allowlist.Mode{}}
	for role, mode := range c.Settings.AllowlistRoles {
		modes.PerRole[role] = allowlist.Mode(mode)
	}
	return allowlist.New(modes, match, entries)
}

func isDocuments(collection string) bool {
	name, _, _ := strings.Cut(collection, ":")
	return name == allowlist.DocumentCollection
}

// findDocument puts the text where the client sent its id: as documentId, or as
// the hash of Apollo's persisted queries.
func (i *Instance) findDocument(s session.Session, r *Request) error {
	extension, asked := r.Extensions["persistedQuery"]
	if !asked && r.DocumentID == "" {
		if r.Saved {
			return nil
		}
		return i.allowlist.CheckText(s.Role)
	}
	if !i.allowlist.TakesIDs() {
		if !asked {
			return notFoundDocument()
		}
		return errcode.New(errcode.NotSupported, "Automatic Persisted Queries is not enabled").At("$")
	}
	id := r.DocumentID
	if id == "" {
		members, _ := extension.(map[string]any)
		id, _ = members["sha256Hash"].(string)
	}
	text, ok := i.allowlist.Document(s.Role, strings.ToLower(id))
	if !ok {
		text, ok = i.allowlist.Document(s.Role, id)
	}
	switch {
	case ok && (r.Query == "" || r.Query == text):
		r.Query, r.Saved = text, true
		return nil
	case ok:
		return errcode.New(errcode.ValidationFailed, "the query is not that of its id").At("$")
	case r.Query == "":
		return notFoundDocument()
	}
	// A client that registers its query, as Apollo's do: it is taken by its text, and
	// nothing is kept.
	return i.allowlist.CheckText(s.Role)
}

func notFoundDocument() error {
	return errcode.New(errcode.PersistedQueryNotFound, "PersistedQueryNotFound").At("$")
}

// checkAllowlist compares the operation's text, before it is validated: a
// caller learns nothing of the schema from an operation that is not allowed. One
// that is prepared was compared before.
func (i *Instance) checkAllowlist(s session.Session, r Request, trail *Trail) error {
	if !i.allowlist.Active(s.Role) {
		return nil
	}
	if p, ok := i.prepared.GetIfPresent(keyOf(s, r)); ok && p.listed != allowlist.NotChecked {
		trail.Allowlist = p.listed
		return nil
	}
	shape, err := operation.ShapeOf(r.Query, r.OperationName, allowlist.Match(i.Settings.AllowlistMatch))
	if err != nil {
		return err
	}
	return i.checkListed(s, shape, trail)
}

// note remembers an operation that is not listed, without its values. What is only
// explained is no traffic.
func (i *Instance) note(s session.Session, p *prepared) *allowlist.Seen {
	if i.outside.Traffic == nil || s.IsAdmin() || p.listed == allowlist.Listed || p.listed == allowlist.NotChecked {
		return nil
	}
	text, values := p.operation.WithoutValues()
	return i.outside.Traffic.Note(allowlist.Operation{
		Hash: p.operation.Hash, Name: p.operation.Name, Type: string(p.operation.Type), Text: text, Values: values,
	}, s.Role, time.Now())
}

func (i *Instance) checkListed(s session.Session, shape allowlist.Shape, trail *Trail) error {
	verdict, err := i.allowlist.Check(s.Role, shape)
	trail.Allowlist = verdict
	if err != nil {
		i.outside.Metrics.RecordAllowlistRefusal(s.Role)
	}
	return err
}
