package control

import (
	"context"
	"net/http"
	"time"

	"tenantry/policy/authz"
	"tenantry/services/engine/impact"
	"tenantry/services/engine/instance"
	"tenantry/services/revision"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
	"tenantry/tenants/store"
)

// maxDocument bounds a metadata document.
const maxDocument = 32 << 20

func (s *service) registerMetadata() {
	tag := "Metadata"
	register(s, endpoint{id: "getMetadata", method: http.MethodGet, path: "/projects/{project}/metadata", class: authz.ClassRead, tag: tag,
		summary: "The whole metadata document"}, s.getMetadata)
	register(s, endpoint{id: "putMetadata", method: http.MethodPut, path: "/projects/{project}/metadata", class: authz.ClassWrite, tag: tag,
		maxBody: maxDocument, summary: "Replace the metadata document"}, s.putMetadata)
	register(s, endpoint{id: "listMetadataRevisions", method: http.MethodGet, path: "/projects/{project}/metadata/revisions", class: authz.ClassRead,
		tag: tag, summary: "Every version of the document with its author, newest first"}, s.listRevisions)
	register(s, endpoint{id: "rollbackMetadata", method: http.MethodPost, path: "/projects/{project}/metadata:rollback", class: authz.ClassWrite,
		tag: tag, summary: "Make an earlier version the current one again"}, s.rollback)
}

func (s *service) getMetadata(ctx context.Context, c *call, _ *ProjectPath) (*objectOutput, error) {
	document, version, err := s.Store.Metadata(ctx, c.project.ID)
	return &objectOutput{ETag: tag(version), Body: document}, err
}

type putMetadataInput struct {
	ProjectPath
	Precondition
	Forced
	AllowInconsistent bool `query:"allow_inconsistent" doc:"Keep the document although objects do not resolve."`
	DropOwn           bool `query:"drop_own" doc:"Let masks of columns and other keys that the dialect does not have go where the document leaves them out."`
	DryRun            bool `query:"dry_run" doc:"Change nothing; tell what would be inconsistent, and what the change means for clients."`
	Body              jsonObject
}

type metadataOutput struct {
	ETag string `header:"ETag"`
	Body struct {
		ResourceVersion int64                 `json:"resource_version"`
		IsConsistent    bool                  `json:"is_consistent"`
		Objects         []model.Inconsistency `json:"inconsistent_objects" nullable:"false"`
		Tests           []instance.TestResult `json:"permission_tests,omitempty" doc:"Of a dry run: the results of the permission tests."`
		Impact          *impact.Impact        `json:"impact,omitempty" doc:"Of a dry run: what the change means for clients."`
		// What is broken all the same.
		Operations []impact.BrokenOperation `json:"broken_operations,omitempty" doc:"Operations that stay in the allow-list, and that the change broke for a role."`
		Endpoints  []impact.BrokenEndpoint  `json:"broken_endpoints,omitempty" doc:"REST endpoints that the change broke for a role."`
	}
}

func (s *service) putMetadata(ctx context.Context, c *call, in *putMetadataInput) (*metadataOutput, error) {
	doc, err := metadata.Decode(in.Body)
	if err != nil {
		return nil, err
	}
	return s.replace(ctx, c, in.IfMatch, doc, in.DropOwn, revision.Change{
		Action: "metadata.replace", AllowInconsistent: in.AllowInconsistent, Force: in.Force, DryRun: in.DryRun,
	})
}

// replace makes doc the project's document.
func (s *service) replace(ctx context.Context, c *call, ifMatch string, doc *metadata.Document, dropOwn bool, change revision.Change) (*metadataOutput, error) {
	expect, err := precondition(ifMatch)
	if err != nil {
		return nil, err
	}
	change.Author, change.Target, change.ExpectVersion, change.Whole = c.author(), c.in("metadata"), expect, true
	change.Metadata = func(before *metadata.Document) (*metadata.Document, error) {
		if !dropOwn {
			if err := metadata.KeepsOwn(before, doc); err != nil {
				return nil, err
			}
		}
		return doc.Clone(), nil
	}
	o, err := s.Revisions.Apply(ctx, c.project.ID, change)
	if err != nil {
		return nil, matched(ifMatch, err)
	}
	out := &metadataOutput{ETag: tag(o.ResourceVersion)}
	out.Body.ResourceVersion, out.Body.IsConsistent = o.ResourceVersion, len(o.Inconsistencies) == 0
	out.Body.Objects = append([]model.Inconsistency{}, o.Inconsistencies...)
	out.Body.Impact = o.Impact
	out.Body.Operations, out.Body.Endpoints = o.Broken.Operations, o.Broken.Endpoints
	if change.DryRun {
		out.Body.Tests = o.Tests
	}
	return out, nil
}

type revisionView struct {
	Revision int64     `json:"revision" doc:"The resource version that it had."`
	Author   actorView `json:"author"`
	At       time.Time `json:"at"`
}

func (s *service) listRevisions(ctx context.Context, c *call, in *ListProjectInput) (*page[revisionView], error) {
	items, next, err := s.Store.MetadataRevisions(ctx, c.project.ID, in.page())
	return pageOf(items, next, func(r store.Revision) revisionView {
		return revisionView{r.Version, actorView{r.Author.Kind, r.Author.ID}, r.At.UTC()}
	}), err
}

type rollbackInput struct {
	ProjectPath
	Precondition
	Forced
	Body struct {
		Revision          int64 `json:"revision" minimum:"1"`
		AllowInconsistent bool  `json:"allow_inconsistent,omitempty"`
	}
}

func (s *service) rollback(ctx context.Context, c *call, in *rollbackInput) (*metadataOutput, error) {
	text, _, err := s.Store.MetadataRevision(ctx, c.project.ID, in.Body.Revision)
	if notFound(err) {
		return nil, invalid(wrong("/revision", "the project has no such revision"))
	}
	if err != nil {
		return nil, err
	}
	doc, err := metadata.Decode(text)
	if err != nil {
		return nil, err
	}
	// An earlier version had what it had: nothing was left out by mistake.
	return s.replace(ctx, c, in.IfMatch, doc, true, revision.Change{
		Action: "metadata.rollback", Detail: map[string]any{"revision": in.Body.Revision}, AllowInconsistent: in.Body.AllowInconsistent, Force: in.Force,
	})
}
