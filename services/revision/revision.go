// Package revision is the one way to change a project: edit → model, access,
// policy (all errors) → commit with its audit event → swap → announce. The
// control API and the metadata API both call it; nothing else writes metadata
// or settings.
package revision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"tenantry/api/errcode"
	"tenantry/ops/audit"
	"tenantry/policy/access"
	"tenantry/policy/authz"
	"tenantry/services/engine/impact"
	"tenantry/services/engine/instance"
	"tenantry/services/engine/source"
	"tenantry/services/live"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
	"tenantry/tenants/settings"
	"tenantry/tenants/store"
)

// Cluster makes databases for projects: the operator's.
type Cluster interface {
	CreateDatabase(ctx context.Context, name string) (url string, err error)
	DropDatabase(ctx context.Context, name string) error
}

// Service changes projects. Safe for concurrent use; changes of one project run
// one after the other.
type Service struct {
	Store  *store.Store
	Live   *live.Registry
	Pools  *source.Pools
	Logger *slog.Logger
	// Cluster is nil where no databases are managed.
	Cluster Cluster

	mu    sync.Mutex
	locks map[string]chan struct{}
}

// Author is who makes a change, for the audit.
type Author struct {
	Actor     audit.Actor
	TenantID  string
	IP        string
	RequestID string
}

// Change is one change of a project. Edits are pure: they get a copy.
type Change struct {
	Author Author
	Action string         // as the audit names it: metadata.replace, action.create, …
	Target string         // what it is about: shop/actions/placeOrder
	Detail map[string]any // chosen fields, no secrets

	Metadata func(*metadata.Document) (*metadata.Document, error)
	Settings func(settings.Settings) (settings.Settings, error)
	// ExpectVersion is the resource version that the author saw; 0 is any.
	ExpectVersion int64
	// ExpectSettings is the settings version that the author saw; 0 is any.
	ExpectSettings int64
	// Whole says that the document is replaced: every inconsistency in it counts,
	// not only those that the change adds.
	Whole bool
	// AllowInconsistent commits although objects do not resolve.
	AllowInconsistent bool
	// Force commits although operations of the allow-list break.
	Force bool
	// Bump makes a new resource version even if the document stays as it is.
	Bump   bool
	DryRun bool
	// Unmanaged says that the database is no longer one that the platform made.
	Unmanaged bool
	// Introspect reads the databases' catalogs again first.
	Introspect bool
	// Also runs in the same transaction. With it the change is audited although
	// the project stays as it was.
	Also func(ctx context.Context, tx *store.Tx) error
}

// Outcome is a project after (or, for a dry run, as if after) a change.
type Outcome struct {
	ResourceVersion int64
	SettingsVersion int64
	// Changed is false when the edit left everything as it was: nothing was
	// written then.
	Changed         bool
	Document        *metadata.Document
	Settings        settings.Settings
	Catalogs        map[string]*catalog.Catalog
	Model           *model.Model
	Inconsistencies []model.Inconsistency
	// PolicyWarnings are conditions of the policy that are undefined for some tables.
	PolicyWarnings []authz.Problem
	// Impact is what the change would mean for clients: of the dry run of a
	// document that replaces another.
	Impact *impact.Impact
	// Broken are saved operations that the change breaks; of a change that was made.
	Broken impact.Broken
	// Tests are the results of the permission tests, where they ran.
	Tests []instance.TestResult
}

// Inconsistent refuses a change after which objects would not resolve.
type Inconsistent struct {
	Objects []model.Inconsistency
	// About is the name of the object that the change is about, if it is one.
	About string
	// Whole says that the document was to be replaced.
	Whole bool
}

// Error tells of the first object.
func (e *Inconsistent) Error() string {
	return fmt.Sprintf("%s: %s", e.Objects[0].Name, e.Objects[0].Reason)
}

// Unwrap gives the public error.
func (e *Inconsistent) Unwrap() error {
	return errcode.New(errcode.InvalidConfiguration, "cannot continue due to inconsistent metadata").WithInternal(e.Objects)
}

// tries is how often a change is made anew when another node was faster.
const tries = 5

// Apply makes a change. Errors: *errcode.Error with what the author can mend
// (*Inconsistent and *authz.CompileError are found by errors.As), conflict when
// an expected version is no longer current, not-found.
func (s *Service) Apply(ctx context.Context, projectSlugOrID string, c Change) (Outcome, error) {
	project, err := s.Store.Project(ctx, projectSlugOrID)
	if err != nil {
		return Outcome{}, err
	}
	unlock, err := s.lock(ctx, project.ID)
	if err != nil {
		return Outcome{}, err
	}
	defer unlock()
	return s.applyLocked(ctx, project.ID, c)
}

func (s *Service) applyLocked(ctx context.Context, projectID string, c Change) (Outcome, error) {
	for try := 1; ; try++ {
		out, err := s.apply(ctx, projectID, c)
		// Another node changed the project between our reading and writing. Unless
		// the author insists on what they saw, the edit is made on what is there.
		if errors.Is(err, store.ErrConflict) && c.ExpectVersion == 0 && c.ExpectSettings == 0 && try < tries {
			continue
		}
		return out, err
	}
}

// lock waits for the project's turn; a caller that leaves stops waiting.
func (s *Service) lock(ctx context.Context, projectID string) (unlock func(), err error) {
	s.mu.Lock()
	if s.locks == nil {
		s.locks = map[string]chan struct{}{}
	}
	l, ok := s.locks[projectID]
	if !ok {
		l = make(chan struct{}, 1)
		s.locks[projectID] = l
	}
	s.mu.Unlock()
	select {
	case l <- struct{}{}:
		return func() { <-l }, nil
	case <-ctx.Done():
		return nil, errcode.New(errcode.Timeout, "another change of the project takes too long").Because(ctx.Err())
	}
}

func (s *Service) apply(ctx context.Context, projectID string, c Change) (Outcome, error) {
	state, err := s.Store.LoadProject(ctx, projectID)
	if err != nil {
		return Outcome{}, err
	}
	d, err := s.draft(ctx, state, c)
	if err == nil && c.DryRun && c.Whole {
		if d.out.Impact, err = impactOf(state, d.out); err == nil {
			err = s.tryTests(ctx, d)
		}
	}
	if err != nil || c.DryRun {
		return d.out, err
	}
	return s.finish(ctx, d, c)
}

// finish writes a draft and serves it. The new generation is built first, so
// that what can't serve is refused before anything is written.
func (s *Service) finish(ctx context.Context, d *draft, c Change) (Outcome, error) {
	if !d.out.Changed {
		if c.Also == nil {
			return d.out, nil
		}
		return d.out, s.commit(ctx, d, c)
	}
	if err := d.breaks(ctx, c.Force || c.AllowInconsistent); err != nil {
		return d.out, err
	}
	generation, err := s.Live.Build(ctx, d.state)
	if err != nil {
		return d.out, publicBuildError(err)
	}
	if err := d.tested(ctx, generation); err != nil {
		generation.Discard()
		return d.out, err
	}
	if err := s.commit(ctx, d, c); err != nil {
		generation.Discard()
		return d.out, err
	}
	s.Live.Swap(generation)
	return d.out, nil
}

// draft is a change that was worked out and not written yet.
type draft struct {
	before store.ProjectState
	state  store.ProjectState // as it will be
	out    Outcome

	metadataChanged, settingsChanged bool
	catalogsChanged, catalogsGone    []string
}

func (s *Service) draft(ctx context.Context, before store.ProjectState, c Change) (*draft, error) {
	d := &draft{before: before, state: before}
	if c.Unmanaged {
		d.state.Project.Managed = false
	}
	if err := expect(before, c); err != nil {
		return d, err
	}
	old, err := metadata.Decode(before.Document)
	if err != nil {
		return d, fmt.Errorf("stored metadata: %w", err)
	}
	if err := d.edit(old, c); err != nil {
		return d, err
	}
	if err := s.introspect(ctx, d, c.Introspect); err != nil {
		return d, err
	}
	m, a, inconsistent := instance.Resolve(d.out.Document, d.state.Catalogs, d.state.Settings)
	d.out.Model, d.out.Inconsistencies, d.out.Catalogs = m, inconsistent, d.state.Catalogs
	d.out.Settings, d.out.ResourceVersion, d.out.SettingsVersion = d.state.Settings, d.state.ResourceVersion, d.state.SettingsVersion
	d.out.Changed = d.metadataChanged || d.settingsChanged || len(d.catalogsChanged) > 0
	if d.metadataChanged && !c.AllowInconsistent {
		refused, err := s.refusedQueries(ctx, m, old, d.open(s))
		if err != nil {
			return d, err
		}
		inconsistent = append(slices.Clone(inconsistent), refused...)
	}
	if err := refuse(old, before, inconsistent, c); err != nil {
		return d, err
	}
	return d, d.checkPolicy(ctx, a, c)
}

// checkPolicy refuses a change after which the policy could not be translated for
// some table and role.
func (d *draft) checkPolicy(ctx context.Context, a *access.Access, c Change) error {
	if !d.out.Changed || c.AllowInconsistent && !d.settingsChanged {
		return nil
	}
	policy, shadow, err := instance.CompilePolicies(ctx, d.state.Settings)
	if err != nil {
		return err
	}
	if shadow != nil {
		if _, err := shadow.Check(ctx, d.out.Model, a, d.state.Project.ID); err != nil {
			return err
		}
	}
	d.out.PolicyWarnings, err = policy.Check(ctx, d.out.Model, a, d.state.Project.ID)
	return err
}

// open takes a share in the pool of a source as it is configured in the draft.
func (d *draft) open(s *Service) func(name string) (*source.Source, error) {
	return func(name string) (*source.Source, error) {
		for _, src := range d.out.Document.Sources {
			if src.Name == name {
				return live.OpenSource(s.Pools, src, d.state.Project, d.state.Settings)
			}
		}
		return nil, errcode.New(errcode.NotExists, "source with name %q does not exist", name)
	}
}

func expect(state store.ProjectState, c Change) error {
	if c.ExpectVersion != 0 && c.ExpectVersion != state.ResourceVersion {
		return errcode.New(errcode.Conflict, "metadata resource version referenced (%d) did not match current version", c.ExpectVersion).At("$")
	}
	if c.ExpectSettings != 0 && c.ExpectSettings != state.SettingsVersion {
		return store.ErrConflict
	}
	return nil
}

// edit runs the pure edits and notes what they changed.
func (d *draft) edit(old *metadata.Document, c Change) error {
	d.out.Document = old
	if c.Metadata != nil {
		edited, err := c.Metadata(old.Clone())
		if err != nil {
			return err
		}
		if err := refuseAddresses(edited); err != nil {
			return err
		}
		text, err := metadata.Encode(edited)
		if err != nil {
			return fmt.Errorf("encode metadata: %w", err)
		}
		if d.metadataChanged = c.Bump || !bytes.Equal(text, canonical(old)); d.metadataChanged {
			d.out.Document, d.state.Document = edited, text
			d.state.ResourceVersion++
		}
	} else if c.Bump {
		d.metadataChanged = true
		d.state.ResourceVersion++
	}
	if c.Settings == nil {
		return nil
	}
	edited, err := c.Settings(d.before.Settings.Clone())
	if err != nil {
		return err
	}
	if err := edited.Validate(); err != nil {
		return err
	}
	same, err := equal(edited, d.before.Settings)
	if err != nil {
		return err
	}
	if d.settingsChanged = !same; d.settingsChanged {
		d.state.Settings = edited
		d.state.SettingsVersion++
	}
	return nil
}

// equal compares settings by their stored form.
func equal(a, b settings.Settings) (bool, error) {
	left, err := settings.Encode(a)
	if err != nil {
		return false, fmt.Errorf("encode settings: %w", err)
	}
	right, err := settings.Encode(b)
	return bytes.Equal(left, right), err
}

// canonical is a document's stable form; what was stored by an older version of
// the program may be written differently.
func canonical(doc *metadata.Document) []byte {
	text, err := metadata.Encode(doc)
	if err != nil {
		return nil
	}
	return text
}

// refuse judges the inconsistencies of a draft: those that the change adds, or
// all when it replaces the document. Members of an inherited role that disagree
// are no reason: only that role lacks something.
func refuse(old *metadata.Document, before store.ProjectState, now []model.Inconsistency, c Change) error {
	if c.AllowInconsistent || c.DryRun || len(now) == 0 || c.Metadata == nil && !c.Introspect {
		return nil
	}
	known := map[string]bool{}
	if !c.Whole {
		_, _, earlier := instance.Resolve(old, before.Catalogs, before.Settings)
		for _, i := range earlier {
			known[identity(i)] = true
		}
	}
	var added []model.Inconsistency
	for _, i := range now {
		if !known[identity(i)] && !i.Ambiguous() && !i.Kept {
			added = append(added, i)
		}
	}
	if len(added) == 0 {
		return nil
	}
	return &Inconsistent{Objects: added}
}

// identity tells inconsistencies apart; all custom types share one name, so the
// reason belongs to it.
func identity(i model.Inconsistency) string { return i.Type + "\x00" + i.Name + "\x00" + i.Reason }

func (s *Service) commit(ctx context.Context, d *draft, c Change) error {
	id := d.before.Project.ID
	event := audit.Event{
		Kind: audit.KindChange, TenantID: d.before.Project.TenantID, ProjectID: id, Actor: c.Author.Actor, Action: c.Action, Target: c.Target,
		Outcome: audit.OK, RequestID: c.Author.RequestID, IP: c.Author.IP, Detail: d.detail(c),
	}
	return s.Store.Change(ctx, []audit.Event{event}, func(ctx context.Context, tx *store.Tx) error {
		if d.metadataChanged {
			if _, err := tx.PutMetadata(ctx, id, d.before.ResourceVersion, d.state.Document, c.Author.Actor); err != nil {
				return err
			}
		}
		if d.settingsChanged {
			if _, err := tx.PutSettings(ctx, id, d.before.SettingsVersion, d.state.Settings, c.Author.Actor); err != nil {
				return err
			}
		}
		for _, name := range d.catalogsChanged {
			if err := tx.PutCatalog(ctx, id, name, d.state.Catalogs[name]); err != nil {
				return err
			}
			if err := tx.Touch(ctx, id); err != nil {
				return err
			}
		}
		for _, name := range d.catalogsGone {
			if err := tx.DeleteCatalog(ctx, id, name); err != nil {
				return err
			}
		}
		if c.Also != nil {
			return c.Also(ctx, tx)
		}
		return nil
	})
}

func (d *draft) detail(c Change) map[string]any {
	detail := map[string]any{}
	for k, v := range c.Detail {
		detail[k] = v
	}
	if d.metadataChanged {
		detail["resource_version"] = d.state.ResourceVersion
	}
	if d.settingsChanged {
		detail["settings_version"] = d.state.SettingsVersion
	}
	told(detail, d.out.Broken)
	return detail
}

// publicBuildError shows what the author can mend: a policy that doesn't
// compile. Anything else stays hidden.
func publicBuildError(err error) error {
	var policy *authz.CompileError
	if errors.As(err, &policy) {
		return policy
	}
	return err
}

// Current reads a project without changing it.
func (s *Service) Current(ctx context.Context, projectSlugOrID string) (Outcome, error) {
	state, err := s.Store.LoadProject(ctx, projectSlugOrID)
	if err != nil {
		return Outcome{}, err
	}
	d, err := s.draft(ctx, state, Change{})
	return d.out, err
}
