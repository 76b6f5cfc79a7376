package authz

import (
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"tenantry/api/session"
)

// What a policy remembers of decisions; when it is full it begins anew. Plans keep
// their standings themselves.
const (
	maxStandings = 4096
	maxShared    = 512 << 10 // bytes of text of the late modules
	maxLeft      = 64 << 10  // of one: what has more left is asked for each request
	termBytes    = 16        // that terms take for each byte of their text, about
)

// known identifies the part of a request that determines its standing.
func known(r Request) [sha256.Size]byte {
	var key []byte
	for _, part := range append([]string{
		string(r.Point), r.Project, r.Session.Role, r.Operation.Type, r.Operation.Name, r.Operation.Hash,
		r.Resource.Kind, r.Resource.Source, r.Resource.Schema, r.Resource.Name, r.Resource.Field,
	}, r.Resource.Columns...) {
		key = strconv.AppendInt(key, int64(len(part)), 10)
		key = append(key, ':')
		key = append(key, part...)
	}
	return sha256.Sum256(key)
}

func (r *registry) standing(key [sha256.Size]byte) (Standing, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	found, ok := r.standings[key]
	return found, ok
}

// stands keeps a standing. One that equals another but for the operation gets the
// other's late module: clients may send a new text each time, and each module is
// compiled and evaluated by itself.
func (r *registry) stands(key [sha256.Size]byte, st Standing) Standing {
	var text string
	if st.late != nil {
		if text = st.late.share(); len(text) > maxLeft {
			st, text = Standing{}, ""
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.standings == nil || len(r.standings) >= maxStandings {
		r.standings = map[[sha256.Size]byte]Standing{}
	}
	own := 0
	if m := st.late; m != nil {
		if other := r.shared[text]; other != nil && m.equals(other) {
			st.late = other
		} else {
			own = termBytes * len(text)
			r.count++
			m.id = strconv.Itoa(r.count)
			if r.size += len(text); r.shared == nil || r.size > maxShared {
				r.size, r.shared, r.standings = len(text), map[string]*lateModule{}, map[[sha256.Size]byte]Standing{}
			}
			r.shared[text] = m
		}
	}
	r.standings[key] = st
	st.size = own
	return st
}

// share takes out of a decision's module what nothing depends on, and returns its
// text.
func (m *lateModule) share() string {
	if !m.beyond {
		m.request.Operation.Name, m.request.Operation.Hash = "", ""
		m.request.Resource.Field, m.request.Resource.Columns = "", nil
	}
	m.request.Session, m.request.Args = session.Session{Role: m.request.Session.Role}, nil
	slices.SortFunc(m.support, func(a, b *ast.Module) int { return a.Package.Compare(b.Package) })
	return m.text()
}

// text is the module as a key; modules that differ can have the same one.
func (m *lateModule) text() string {
	var text strings.Builder
	key := known(m.request)
	text.Write(key[:])
	for _, rule := range m.rules {
		text.WriteString(rule.String() + "\n")
	}
	for _, module := range m.support {
		text.WriteString(module.String() + "\n")
	}
	return text.String()
}

// equals tells that another module of the same text has the same rules: variables
// without names look alike in it.
func (m *lateModule) equals(other *lateModule) bool {
	return slices.EqualFunc(m.rules, other.rules, (*ast.Rule).Equal) && slices.EqualFunc(m.support, other.support, (*ast.Module).Equal)
}
