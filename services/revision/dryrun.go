package revision

import (
	"context"
	"fmt"

	"tenantry/services/engine/impact"
	"tenantry/services/engine/instance"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
	"tenantry/tenants/settings"
	"tenantry/tenants/store"
)

// impactOf compares a project as it is stored with what a draft makes of it.
func impactOf(before store.ProjectState, after Outcome) (*impact.Impact, error) {
	old, err := metadata.Decode(before.Document)
	if err != nil {
		return nil, fmt.Errorf("stored metadata: %w", err)
	}
	return impact.Compare(side(old, before.Catalogs, before.Settings), side(after.Document, after.Catalogs, after.Settings)), nil
}

func side(doc *metadata.Document, catalogs map[string]*catalog.Catalog, set settings.Settings) impact.Side {
	m, a, _ := instance.Resolve(doc, catalogs, set)
	return impact.Side{Document: doc, Model: m, Access: a, Options: instance.SchemaOptions(set.Compat)}
}

// Preview tells what replacing the document would mean, by fresh catalogs: what
// would not resolve, and the impact on clients. The work stays as it was.
func (w *Work) Preview(ctx context.Context, edit func(*metadata.Document) (*metadata.Document, error)) ([]model.Inconsistency, *impact.Impact, error) {
	before, read := w.stage, w.read
	defer func() { w.stage, w.read = before, read }()
	if err := w.Read(ctx, true); err != nil {
		return nil, nil, err
	}
	if err := w.Edit(ctx, edit, Judge{Allow: true}); err != nil {
		return nil, nil, err
	}
	was := side(before.document, before.catalogs, before.settings)
	return w.Inconsistencies(), impact.Compare(was, side(w.document, w.catalogs, w.settings)), nil
}
