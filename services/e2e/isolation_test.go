package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tenantry/tenants/settings"
)

// signedToken is a token as a tenant's own login makes it.
func signedToken(key, role string) string {
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"exp":                     time.Now().Add(time.Hour).Unix(),
		settings.DefaultNamespace: map[string]any{"x-hasura-default-role": role, "x-hasura-allowed-roles": []string{role}},
	}).SignedString([]byte(key))
	if err != nil {
		panic(err) // a text always signs
	}
	return text
}

// isolation runs every operation of the document between two tenants.
type isolation struct {
	t          *testing.T
	s          *server
	operations []apiOperation
	mine       *side // whose things the calls are about
	stranger   *side
	theirs     map[string]string // what the stranger has, which never changes
	kept       keptRows
	calls      int // made with strange keys or ids
}

// strangerCalls is how many calls an operation needs: for each kind of id in
// its path, in both forms that the ids of tenants and projects have, those of
// callers. It is computed from the document alone.
func strangerCalls(o apiOperation) int {
	n := 0
	for _, kind := range o.kinds() {
		switch kind {
		case tenantKind:
			n += 2 * 3 // the stranger's two keys; and the own key on the stranger's
		case projectKind:
			n += 2 * 4 // the same, and a key of another project of the own tenant
		case planKind:
		default:
			n++ // the own key, the own project, the stranger's id
		}
	}
	return n
}

func TestNoTenantReachesAnothersThings(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a, b := newSide(t, s, "alpha"), newSide(t, s, "beta")
	run := &isolation{t: t, s: s, operations: apiOperations(t, s), mine: a, stranger: b, kept: newKeptRows(t, s)}
	run.theirs = run.kept.of(t, b)
	seen := run.snapshot(b)
	want := 0
	for _, o := range run.operations {
		want += strangerCalls(o)
		trial, known := trials[o.ID]
		if !known {
			t.Errorf("the operation %s is new: add to trials how it is called", o.ID)
			continue
		}
		run.operation(o, trial)
		if t.Failed() {
			return // what failed may have spoilt what follows
		}
	}
	if len(trials) != len(run.operations) {
		t.Errorf("%d trials for %d operations: some are of operations that the document has no more", len(trials), len(run.operations))
	}
	if run.calls != want {
		t.Errorf("%d calls were made, operations × kinds of id are %d", run.calls, want)
	}
	for id, text := range run.snapshot(b) {
		if seen[id] != text {
			t.Errorf("what %s gives of %s was\n%s\nand is\n%s", id, b.name, seen[id], text)
		}
	}
	run.auditTellsNothing()
}

func (r *isolation) operation(o apiOperation, trial trial) {
	r.t.Helper()
	mine := &field{side: r.mine, t: r.t, s: r.s}

	// The owner's own call is right, so a refusal of the same call is not one of
	// its content.
	r.own(o, trial, mine, prepared(mine, trial))

	// My key on the stranger's things.
	hostile := &field{side: r.stranger, t: r.t, s: r.s}
	for _, kind := range o.kinds() {
		if kind != tenantKind && kind != projectKind {
			continue
		}
		for _, ids := range r.stranger.forms(r.stranger.ids) {
			r.refused(o, trial, hostile, r.mine.owner, ids, http.StatusNotFound)
		}
	}

	// The stranger's keys on mine, which must be unharmed: the same call by the
	// owner works afterwards.
	target := prepared(mine, trial)
	var before map[string]string
	if o.Method != http.MethodGet {
		before = r.kept.of(r.t, r.mine)
	}
	for _, kind := range o.kinds() {
		keys := []string{r.stranger.owner, r.stranger.projectKey}
		switch kind {
		case tenantKind:
		case projectKind:
			sibling := r.mine.spareKey
			if target[projectKind] == r.mine.spare[projectKind] {
				sibling = r.mine.projectKey
			}
			keys = append(keys, sibling)
		default:
			continue
		}
		for _, ids := range r.mine.forms(target) {
			for _, key := range keys {
				r.refused(o, trial, mine, key, ids, http.StatusNotFound)
			}
		}
	}
	for _, kind := range o.kinds() {
		if kind == tenantKind || kind == projectKind || kind == planKind || trial.unknown != 0 {
			continue
		}
		r.refused(o, trial, mine, r.ownKey(o), merged(target, map[idKind]string{kind: r.stranger.ids[kind]}), http.StatusNotFound)
	}
	r.same(o, r.mine, before)
	r.own(o, trial, mine, target)

	// A PUT by name changes the own project alone.
	for _, kind := range o.kinds() {
		if kind == tenantKind || kind == projectKind || kind == planKind || trial.unknown == 0 {
			continue
		}
		r.refused(o, trial, mine, r.ownKey(o), merged(target, map[idKind]string{kind: r.stranger.ids[kind]}), trial.unknown)
		if trial.unknown < 300 && o.Method == http.MethodPut {
			mine.need(http.MethodDelete, strings.TrimPrefix(o.address(r.t, merged(target, map[idKind]string{kind: r.stranger.ids[kind]})), "/api/v1"), nil)
		}
	}
	r.same(o, r.stranger, r.theirs)
}

// prepared are the ids of what a call is about.
func prepared(f *field, trial trial) map[idKind]string {
	f.t.Helper()
	if trial.prepare == nil {
		return f.ids
	}
	return merged(f.ids, trial.prepare(f))
}

// ownKey is who may make a call of an operation.
func (r *isolation) ownKey(o apiOperation) string {
	if o.Class == "operator" || o.Class == "public" {
		return r.s.OperatorKey
	}
	return r.mine.owner
}

func (r *isolation) own(o apiOperation, trial trial, f *field, ids map[idKind]string) {
	r.t.Helper()
	a := attempt(o, trial, f, r.ownKey(o), ids)
	if a.Status < 200 || a.Status > 299 {
		r.t.Errorf("%s by the owner: %d %s", o.ID, a.Status, a.Text)
	}
	if trial.undo != nil {
		trial.undo(f)
	}
}

func (r *isolation) refused(o apiOperation, trial trial, f *field, key string, ids map[idKind]string, status int) {
	r.t.Helper()
	r.calls++
	a := attempt(o, trial, f, key, ids)
	if a.Status != status {
		r.t.Errorf("%s %s with a key %.8s… of someone else: %d, expected %d: %s", o.ID, o.address(r.t, ids), key, a.Status, status, a.Text)
	}
	for _, x := range []*side{r.mine, r.stranger} {
		if status == http.StatusNotFound && strings.Contains(a.Text, x.name) {
			r.t.Errorf("%s tells of %s: %s", o.ID, x.name, a.Text)
		}
	}
}

// attempt makes a call of an operation.
func attempt(o apiOperation, trial trial, f *field, key string, ids map[idKind]string) answer {
	f.t.Helper()
	var body any
	if trial.body != nil {
		body = trial.body(f, ids)
	}
	return send(f.t, o.Method, f.s.PublicURL+o.address(f.t, ids)+trial.query, bearer(key), body)
}

// changing are parts of answers that differ without a change.
var changing = regexp.MustCompile(`,"last_used":"[^"]*"`)

// snapshot is all that the operator can read of a side, by operation.
func (r *isolation) snapshot(x *side) map[string]string {
	r.t.Helper()
	state := map[string]string{}
	for _, o := range r.operations {
		if o.Method != http.MethodGet || len(o.kinds()) == 0 || o.Class == "audit" || o.Class == "metrics" {
			continue // requests alone change audit and metrics
		}
		a := send(r.t, o.Method, r.s.PublicURL+o.address(r.t, x.ids), bearer(r.s.OperatorKey), nil)
		state[o.ID] = fmt.Sprint(a.Status, " ", changing.ReplaceAllString(a.Text, ""))
	}
	return state
}

// same checks that a side is as it was. What reads is not asked each time.
func (r *isolation) same(o apiOperation, x *side, before map[string]string) {
	r.t.Helper()
	if o.Method == http.MethodGet {
		return
	}
	after := r.kept.of(r.t, x)
	for table, rows := range before {
		if after[table] != rows {
			r.t.Errorf("calls of %s that were refused changed what is kept of %s in %s", o.ID, x.name, table)
		}
	}
}

// auditTellsNothing checks that refusals stand in the audit of who asked.
func (r *isolation) auditTellsNothing() {
	r.t.Helper()
	api := r.s.PublicURL + "/api/v1"
	whose := map[string]string{}
	for _, x := range []*side{r.mine, r.stranger} {
		for _, key := range []string{x.owner, x.projectKey, x.spareKey} {
			whose[must(r.t, http.StatusOK, http.MethodGet, api+"/me", bearer(key), nil).text(r.t, "key", "id")] = x.name
		}
	}
	for _, x := range []*side{r.mine, r.stranger} {
		denials := 0
		for cursor, more := "", true; more; {
			a := must(r.t, http.StatusOK, http.MethodGet, api+"/tenants/"+x.name+"/audit?kind=denial&limit=200"+cursor, bearer(x.owner), nil)
			items, _ := a.at("items").([]any)
			for i := range items {
				denials++
				actor := a.text(r.t, "items", i, "actor", "id")
				if owner, known := whose[actor]; known && owner != x.name {
					r.t.Fatalf("the audit of %s has a refusal of %s: %s", x.name, owner, a.Text)
				}
			}
			next, _ := a.at("next_cursor").(string)
			cursor, more = "&cursor="+next, next != ""
		}
		if denials == 0 {
			r.t.Errorf("the audit of %s has no refusals of its own keys", x.name)
		}
	}
}
