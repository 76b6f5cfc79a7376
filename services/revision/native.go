package revision

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"tenantry/services/engine/instance"
	"tenantry/services/engine/source"
	"tenantry/services/live"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// refusedQueries are the native queries that are new or altered since old and
// that their database refuses to prepare. A database that can't be asked refuses
// none: it would not let a project be configured before it is there.
func (s *Service) refusedQueries(ctx context.Context, m *model.Model, old *metadata.Document, open func(name string) (*source.Source, error)) ([]model.Inconsistency, error) {
	var out []model.Inconsistency
	for _, q := range m.NativeQueries {
		if knows(old, q) {
			continue
		}
		wrong, err := s.check(ctx, q, open)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			s.Logger.Warn("native query not checked", "type", "metadata", "source", q.Source, "error", err)
		case wrong != "":
			out = append(out, q.Inconsistency("the database refuses the code: "+wrong))
		}
	}
	return out, nil
}

func (s *Service) check(ctx context.Context, q *model.NativeQuery, open func(name string) (*source.Source, error)) (string, error) {
	src, err := open(q.Source)
	if errors.Is(err, live.ErrNoAddress) {
		return "", nil // the model reports the source
	}
	if err != nil {
		return "", err
	}
	defer src.Close()
	return instance.CheckNative(ctx, src, q)
}

// knows reports whether a document has a native query with the same text and the
// same model.
func knows(old *metadata.Document, q *model.NativeQuery) bool {
	for _, src := range old.Sources {
		if src.Name != q.Source {
			continue
		}
		for _, other := range src.NativeQueries {
			if other.RootField != q.Metadata.RootField || !same(other, q.Metadata) {
				continue
			}
			return slices.ContainsFunc(src.LogicalModels, func(l metadata.LogicalModel) bool {
				return q.Target.Logical != nil && l.Name == q.Metadata.Returns && same(l.Fields, q.Target.Logical.Metadata.Fields)
			})
		}
	}
	return false
}

// same compares parts of documents by their JSON.
func same(a, b any) bool {
	left, err := json.Marshal(a)
	if err != nil {
		return false
	}
	right, err := json.Marshal(b)
	return err == nil && string(left) == string(right)
}
