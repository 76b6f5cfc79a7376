package control

import (
	"context"
	"net/http"

	"tenantry/policy/authz"
	"tenantry/services/revision"
	"tenantry/tenants/metadata"
)

func (s *service) registerLimits() {
	register(s, endpoint{id: "getLimits", method: http.MethodGet, path: "/projects/{project}/limits", class: authz.ClassRead, tag: "Limits",
		summary: "Limits of depth, nodes, time, batches and rate"}, s.getLimits)
	register(s, endpoint{id: "putLimits", method: http.MethodPut, path: "/projects/{project}/limits", class: authz.ClassWrite, tag: "Limits",
		summary: "Set limits; {} takes them away"}, s.putLimits)
}

func showLimits(o revision.Outcome) (*objectOutput, error) {
	out := &objectOutput{ETag: tag(o.ResourceVersion)}
	if o.Document.APILimits == nil {
		return out, nil
	}
	var err error
	out.Body, err = asObject(o.Document.APILimits)
	return out, err
}

func (s *service) getLimits(ctx context.Context, c *call, _ *ProjectPath) (*objectOutput, error) {
	current, err := s.Revisions.Current(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	return showLimits(current)
}

func (s *service) putLimits(ctx context.Context, c *call, in *putObjectInput) (*objectOutput, error) {
	var limits metadata.APILimits
	if err := metadata.DecodeInto(in.Body, &limits); err != nil {
		return nil, err
	}
	expect, err := precondition(in.IfMatch)
	if err != nil {
		return nil, err
	}
	o, err := s.Revisions.Apply(ctx, c.project.ID, revision.Change{
		Author: c.author(), Action: "limits.put", Target: c.in("limits"), ExpectVersion: expect,
		Metadata: func(doc *metadata.Document) (*metadata.Document, error) {
			doc = doc.Clone()
			doc.APILimits = &limits
			if limits == (metadata.APILimits{}) {
				doc.APILimits = nil
			}
			return doc, validated(doc, "$.api_limits")
		},
	})
	if err != nil {
		return nil, relocated(matched(in.IfMatch, err), "$.api_limits")
	}
	return showLimits(o)
}
