package control

import (
	"context"
	"net/http"

	"tenantry/api/errcode"
	"tenantry/ops/audit"
	"tenantry/policy/authz"
	"tenantry/services/engine/instance"
	"tenantry/services/engine/openapi"
)

func (s *service) registerVerification() {
	register(s, endpoint{id: "verifyActionHandler", method: http.MethodPost, path: "/projects/{project}/actions/{name}:verify-handler", class: authz.ClassWrite,
		tag: "Actions", summary: "Call the action's handler with good and bad samples, and tell what is wrong with its answers"}, s.verifyHandler)
}

type verifyHandlerInput struct {
	ActionPath
	Body struct {
		Probes           []string          `json:"probes,omitempty" nullable:"false" maxItems:"6" enum:"full,minimal,unsigned,forged,stale,repeated" doc:"All when absent; repeated repeats full."`
		Input            map[string]any    `json:"input,omitempty" doc:"Arguments in place of the made-up ones of full and the probes after minimal."`
		Role             string            `json:"role,omitempty" maxLength:"128" doc:"The action's first when absent."`
		SessionVariables map[string]string `json:"session_variables,omitempty"`
	}
}

type verifyHandlerOutput struct {
	Body struct {
		Passed  bool                   `json:"passed"`
		Results []instance.ProbeResult `json:"results" nullable:"false"`
	}
}

func (s *service) verifyHandler(ctx context.Context, c *call, in *verifyHandlerInput) (*verifyHandlerOutput, error) {
	current, err := s.Revisions.Current(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	if _, ok := current.Document.Action(in.Name); !ok {
		return nil, errNotFound
	}
	sample, err := openapi.SampleOf(current.Document, in.Name)
	if err != nil {
		return nil, problem(http.StatusUnprocessableEntity, errcode.ValidationFailed, err.Error())
	}
	if in.Body.Input != nil {
		notes, err := openapi.CheckInput(current.Document, in.Name, in.Body.Input)
		if err != nil {
			return nil, err
		}
		if len(notes) > 0 {
			p := invalid()
			for _, n := range notes {
				p.Errors = append(p.Errors, wrong("/input"+n.Pointer, "%s", n.Message))
			}
			return nil, p
		}
		sample.Full = in.Body.Input
	}
	results, err := s.Revisions.VerifyHandler(ctx, c.project.ID, instance.Verification{
		Action: in.Name, Full: sample.Full, Minimal: sample.Minimal, Role: in.Body.Role, Variables: in.Body.SessionVariables,
		Probes: in.Body.Probes, RequestID: c.requestID,
	})
	if err != nil {
		return nil, err
	}
	out := &verifyHandlerOutput{}
	out.Body.Passed, out.Body.Results = true, results
	failed := []any{}
	for _, r := range results {
		if out.Body.Passed = out.Body.Passed && r.Passed; !r.Passed {
			failed = append(failed, r.Probe)
		}
	}
	e := c.event("action.verify", c.in("actions", in.Name), map[string]any{"probes": len(results), "failed": failed})
	e.Kind, e.Outcome = audit.KindAction, audit.OK
	if !out.Body.Passed {
		e.Outcome = audit.Failed
	}
	s.Recorder.Record(e)
	return out, nil
}
