package revision

import (
	"context"
	"errors"

	"tenantry/api/errcode"
	"tenantry/services/engine/accessview"
	"tenantry/services/engine/impact"
	"tenantry/tenants/metadata"
	"tenantry/tenants/store"
)

// Access answers questions about who may reach what in a project, as it serves
// now.
func (s *Service) Access(ctx context.Context, project string) (accessview.Project, error) {
	e, err := s.Live.Get(ctx, project)
	if err != nil {
		return accessview.Project{}, err
	}
	return accessview.Project{Instance: e.Current().Instance}, nil
}

// CompareAccess tells who may do more, less or otherwise at the revision to than
// at the revision from, both resolved against the databases as they are known now.
// Errors: *errcode.Error at /from or /to for a revision that there is not.
func (s *Service) CompareAccess(ctx context.Context, project string, from, to int64) ([]impact.AccessChange, error) {
	state, err := s.Store.LoadProject(ctx, project)
	if err != nil {
		return nil, err
	}
	sides := [2]impact.Side{}
	for i, version := range []int64{from, to} {
		text, _, err := s.Store.MetadataRevision(ctx, state.Project.ID, version)
		if errors.Is(err, store.ErrNotFound) {
			return nil, errcode.New(errcode.NotExists, "the project has no such revision").At([]string{"/from", "/to"}[i])
		}
		if err != nil {
			return nil, err
		}
		doc, err := metadata.Decode(text)
		if err != nil {
			return nil, err
		}
		sides[i] = side(doc, state.Catalogs, state.Settings)
	}
	return impact.CompareAccess(sides[0], sides[1]), nil
}
