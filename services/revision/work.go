package revision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"tenantry/api/errcode"
	"tenantry/services/engine/instance"
	"tenantry/services/engine/source"
	"tenantry/services/live"
	"tenantry/tenants"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
	"tenantry/tenants/settings"
	"tenantry/tenants/store"
)

// Work is a project in the hands of one command, or of a bulk of them: read
// once, edited step by step, each step judged like a change of its own, and
// committed once. It belongs to one goroutine.
type Work struct {
	service *Service
	before  store.ProjectState
	stored  *metadata.Document

	stage
	// read is true once the catalogs were read in this work: what does not resolve
	// then is not for lack of a fresh look.
	read bool
	// ran is true once SQL of the author has run: the work can't be done again.
	ran bool
	// force commits although operations of the allow-list break.
	force bool
	// stale is true when a step that ran SQL was taken back.
	stale  bool
	also   []func(ctx context.Context, tx *store.Tx) error
	detail map[string]any
	// engines that were made of stages.
	engines []*live.Generation
}

// stage is what a step changes. Documents and catalogs are never modified, so a
// copy keeps a stage.
type stage struct {
	document *metadata.Document
	catalogs map[string]*catalog.Catalog
	settings settings.Settings
	bump     bool

	// resolved is the document's model; nil until asked for.
	resolved *resolved
}

type resolved struct {
	model        *model.Model
	inconsistent []model.Inconsistency
	// engine is nil until asked for.
	engine *live.Generation
}

// Judge says how the inconsistencies are taken that a step adds.
type Judge struct {
	// Object is the name of what the step is about, as inconsistencies name it.
	Object string
	// Whole says that every inconsistency counts, not only those that are added.
	Whole bool
	// Allow takes the step whatever does not resolve.
	Allow bool
}

// Revise runs f on a project and commits what it did, if anything, as one
// revision with one audit event. When another node was faster, f runs again
// unless it has run SQL.
func (s *Service) Revise(ctx context.Context, projectSlugOrID string, c Change, f func(ctx context.Context, w *Work) error) (Outcome, error) {
	project, err := s.Store.Project(ctx, projectSlugOrID)
	if err != nil {
		return Outcome{}, err
	}
	unlock, err := s.lock(ctx, project.ID)
	if err != nil {
		return Outcome{}, err
	}
	defer unlock()
	for try := 1; ; try++ {
		w, err := s.View(ctx, project.ID)
		if err == nil {
			err = expect(w.before, c)
		}
		if err != nil {
			return Outcome{}, err
		}
		err = f(ctx, w)
		w.Close()
		if err == nil {
			out, err := s.commitWork(ctx, w, c)
			if err == nil || !errors.Is(err, store.ErrConflict) || w.ran || c.ExpectVersion != 0 || try == tries {
				s.afterFailure(ctx, w, c.Author, err)
				return out, err
			}
			continue
		}
		s.afterFailure(ctx, w, c.Author, err)
		return Outcome{}, err
	}
}

// View reads a project for commands that change nothing.
func (s *Service) View(ctx context.Context, projectSlugOrID string) (*Work, error) {
	state, err := s.Store.LoadProject(ctx, projectSlugOrID)
	if err != nil {
		return nil, err
	}
	doc, err := metadata.Decode(state.Document)
	if err != nil {
		return nil, fmt.Errorf("stored metadata: %w", err)
	}
	return &Work{service: s, before: state, stored: doc, stage: stage{document: doc, catalogs: state.Catalogs, settings: state.Settings}}, nil
}

// afterFailure makes the project follow its databases when SQL has run and its
// revision was not written.
func (s *Service) afterFailure(ctx context.Context, w *Work, author Author, err error) {
	if err == nil || !w.ran {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	follow := Change{Author: author, Action: "metadata.reload", Target: w.before.Project.Slug, Introspect: true, AllowInconsistent: true}
	if _, err := s.applyLocked(ctx, w.before.Project.ID, follow); err != nil {
		s.Logger.Error("project does not follow its database", "type", "metadata", "project_id", w.before.Project.ID, "error", err)
	}
}

// Project is the project as it was read.
func (w *Work) Project() tenants.Project { return w.before.Project }

// Document is the metadata as it is by now. Read only.
func (w *Work) Document() *metadata.Document { return w.document }

// Catalogs are those of the sources by now. Read only.
func (w *Work) Catalogs() map[string]*catalog.Catalog { return w.catalogs }

// Settings are those of the project by now. Read only.
func (w *Work) Settings() settings.Settings { return w.settings }

// ResourceVersion is that of the document as it was read.
func (w *Work) ResourceVersion() int64 { return w.before.ResourceVersion }

// Changed reports whether the document differs from what was read.
func (w *Work) Changed() bool { return w.document != w.stored || w.bump }

// Model is the document resolved.
func (w *Work) Model() *model.Model { return w.resolve().model }

// Inconsistencies are what does not resolve.
func (w *Work) Inconsistencies() []model.Inconsistency { return w.resolve().inconsistent }

func (w *Work) resolve() *resolved {
	if w.resolved == nil {
		m, _, inconsistent := instance.Resolve(w.document, w.catalogs, w.settings)
		w.resolved = &resolved{model: m, inconsistent: inconsistent}
	}
	return w.resolved
}

// Edit makes one step. What does not resolve is looked at once more with fresh
// catalogs before it is refused with *Inconsistent; then nothing has changed.
func (w *Work) Edit(ctx context.Context, edit func(*metadata.Document) (*metadata.Document, error), j Judge) error {
	edited, err := edit(w.document)
	if err != nil {
		return err
	}
	if err := refuseAddresses(edited); err != nil {
		return err
	}
	before := w.stage
	w.document, w.resolved = edited, nil
	if err := w.missing(ctx, j.Allow, before.document); err != nil {
		w.stage = before
		return err
	}
	if j.Allow {
		return nil
	}
	refused, err := w.service.refusedQueries(ctx, w.Model(), before.document, w.Open)
	if err != nil {
		w.stage = before
		return err
	}
	if len(refused) > 0 {
		w.stage = before
		return &Inconsistent{Objects: refused, About: j.Object, Whole: j.Whole}
	}
	added := w.added(before, j.Whole)
	if len(added) > 0 && !w.read {
		if err := w.Read(ctx, true); err != nil {
			w.stage = before
			return err
		}
		added = w.added(before, j.Whole)
	}
	if len(added) > 0 {
		w.stage = before
		return &Inconsistent{Objects: added, About: j.Object, Whole: j.Whole}
	}
	return nil
}

// added are the inconsistencies that count against the stage before.
func (w *Work) added(before stage, whole bool) []model.Inconsistency {
	now := slices.DeleteFunc(slices.Clone(w.Inconsistencies()), func(i model.Inconsistency) bool { return i.Kept })
	if len(now) == 0 || whole {
		return now
	}
	if before.resolved == nil {
		m, _, inconsistent := instance.Resolve(before.document, before.catalogs, w.settings)
		before.resolved = &resolved{model: m, inconsistent: inconsistent}
	}
	known := map[string]bool{}
	for _, i := range before.resolved.inconsistent {
		known[identity(i)] = true
	}
	return slices.DeleteFunc(now, func(i model.Inconsistency) bool { return known[identity(i)] || i.Ambiguous() })
}

// Attempt runs f and, when it fails, leaves the work as it was before. SQL that
// ran inside stays run: the databases are read again before the commit.
func (w *Work) Attempt(f func() error) error {
	before, also := w.stage, w.also
	ran := w.ran
	w.ran = false
	err := f()
	if err != nil {
		w.stage, w.also = before, also
		w.stale = w.stale || w.ran
	}
	w.ran = w.ran || ran
	return err
}

// Configure changes the settings of the project.
func (w *Work) Configure(edit func(settings.Settings) (settings.Settings, error)) error {
	edited, err := edit(w.settings.Clone())
	if err != nil {
		return err
	}
	if err := edited.Validate(); err != nil {
		return err
	}
	w.settings, w.resolved = edited, nil
	return nil
}

// Force lets operations of the allow-list break.
func (w *Work) Force() { w.force = true }

// Bump makes a new resource version even if the document stays as it is.
func (w *Work) Bump() { w.bump = true }

// Also adds to the transaction of the commit.
func (w *Work) Also(f func(ctx context.Context, tx *store.Tx) error) { w.also = append(w.also, f) }

// Open takes a share in the pool of a source, as it is configured by now; the
// caller closes it.
func (w *Work) Open(name string) (*source.Source, error) {
	for _, src := range w.document.Sources {
		if src.Name == name {
			return live.OpenSource(w.service.Pools, src, w.before.Project, w.settings)
		}
	}
	return nil, errcode.New(errcode.NotExists, "source with name %q does not exist", name).At("$.args.source")
}

// Engine is the project as it is by now, to run commands on its data, until the
// work changes or is closed. What they write is written at once, whatever becomes
// of the work.
func (w *Work) Engine(ctx context.Context, writes bool) (*instance.Instance, error) {
	w.ran = w.ran || writes
	of := w.resolve()
	if of.engine == nil {
		d, err := w.draft()
		if err != nil {
			return nil, err
		}
		made, err := w.service.Live.Build(ctx, d.state)
		if err != nil {
			return nil, publicBuildError(err)
		}
		w.engines = append(w.engines, made)
		of.engine = made
	}
	return of.engine.Instance, nil
}

// Close gives back the engines; without any there is nothing to close.
func (w *Work) Close() {
	for _, engine := range w.engines {
		engine.Discard()
		w.resolved = nil
	}
	w.engines = nil
}

// missing reads the catalogs of sources that have none. A database that could not
// be read before does not forbid changes of others now.
func (w *Work) missing(ctx context.Context, tolerant bool, before *metadata.Document) error {
	for _, src := range w.document.Sources {
		if known := w.catalogs[src.Name]; known == nil || lacksEnums(known, src) {
			old := slices.ContainsFunc(before.Sources, func(s metadata.Source) bool { return s.Name == src.Name })
			if err := w.readSource(ctx, src, tolerant || old); err != nil {
				return err
			}
		}
	}
	return nil
}

// Read reads the catalogs of sources again, all unless some are named. A
// tolerant one keeps what is known of a database that can't be read.
func (w *Work) Read(ctx context.Context, tolerant bool, only ...string) error {
	for _, src := range w.document.Sources {
		if len(only) > 0 && !slices.Contains(only, src.Name) {
			continue
		}
		if err := w.readSource(ctx, src, tolerant); err != nil {
			return err
		}
	}
	w.read = len(only) == 0 || len(only) == len(w.document.Sources)
	return nil
}

func (w *Work) readSource(ctx context.Context, src metadata.Source, tolerant bool) error {
	fresh, err := w.service.read(ctx, src, w.before.Project, w.settings)
	if errors.Is(err, live.ErrNoAddress) {
		return nil // the model reports the source
	}
	if err != nil {
		if tolerant && ctx.Err() == nil {
			w.service.Logger.Warn("catalog not read", "type", "metadata", "project_id", w.before.Project.ID, "source", src.Name, "error", err)
			return nil
		}
		return err
	}
	w.put(src.Name, fresh)
	return nil
}

func (w *Work) put(name string, fresh *catalog.Catalog) {
	if known := w.catalogs[name]; known != nil && known.Fingerprint() == fresh.Fingerprint() {
		return
	}
	w.catalogs = maps.Clone(w.catalogs)
	w.catalogs[name] = fresh
	w.resolved = nil
}

// Forget drops what is known of a source's database, so that it is read again.
func (w *Work) Forget(name string) {
	w.catalogs = maps.Clone(w.catalogs)
	delete(w.catalogs, name)
	w.resolved = nil
}

// commitWork writes what the work has changed.
func (s *Service) commitWork(ctx context.Context, w *Work, c Change) (Outcome, error) {
	if w.stale {
		if err := w.Read(ctx, true); err != nil {
			return Outcome{}, err
		}
	}
	d, err := w.draft()
	if err != nil {
		return Outcome{}, err
	}
	c.Detail = w.detail
	c.Force = c.Force || w.force || w.ran // what SQL of the author did is done
	if len(w.also) > 0 || w.ran || len(d.catalogsGone) > 0 {
		c.Also = func(ctx context.Context, tx *store.Tx) error {
			for _, f := range w.also {
				if err := f(ctx, tx); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return s.finish(ctx, d, c)
}

func (w *Work) draft() (*draft, error) {
	d := &draft{before: w.before, state: w.before}
	if w.document != w.stored || w.bump {
		text, err := metadata.Encode(w.document)
		if err != nil {
			return nil, fmt.Errorf("encode metadata: %w", err)
		}
		if d.metadataChanged = w.bump || !bytes.Equal(text, canonical(w.stored)); d.metadataChanged {
			d.state.Document = text
			d.state.ResourceVersion++
		}
	}
	same, err := equal(w.settings, w.before.Settings)
	if err != nil {
		return nil, err
	}
	if d.settingsChanged = !same; d.settingsChanged {
		d.state.Settings = w.settings
		d.state.SettingsVersion++
	}
	d.state.Catalogs = maps.Clone(w.catalogs)
	d.compareCatalogs(w.document)
	d.out = Outcome{
		ResourceVersion: d.state.ResourceVersion, SettingsVersion: d.state.SettingsVersion, Document: w.document, Settings: d.state.Settings,
		Catalogs: d.state.Catalogs,
		Changed:  d.metadataChanged || d.settingsChanged || len(d.catalogsChanged) > 0 || len(d.catalogsGone) > 0,
	}
	return d, nil
}

// compareCatalogs notes which catalogs are new, and drops those of sources that
// are gone.
func (d *draft) compareCatalogs(doc *metadata.Document) {
	for name, now := range d.state.Catalogs {
		if !slices.ContainsFunc(doc.Sources, func(s metadata.Source) bool { return s.Name == name }) {
			delete(d.state.Catalogs, name)
		} else if before := d.before.Catalogs[name]; before != now {
			d.catalogsChanged = append(d.catalogsChanged, name)
		}
	}
	for name := range d.before.Catalogs {
		if d.state.Catalogs[name] == nil {
			d.catalogsGone = append(d.catalogsGone, name)
		}
	}
	slices.Sort(d.catalogsChanged)
	slices.Sort(d.catalogsGone)
}
