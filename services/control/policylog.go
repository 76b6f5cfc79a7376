package control

import (
	"context"

	"tenantry/services/engine/instance"
	"tenantry/tenants/settings"
)

// policyLog says what is kept of the policy's answers.
type policyLog struct {
	Sample *float64 `json:"sample" minimum:"0" maximum:"1" doc:"The share of the answers other than denials, 1 for all of them; null is that of the audit."`
	Values bool     `json:"values,omitempty" doc:"Keep the values of session variables, not their names alone."`
}

type policyLogOutput struct {
	ETag string `header:"ETag"`
	Body policyLog
}

func (s *service) getPolicyLog(ctx context.Context, c *call, _ *ProjectPath) (*policyLogOutput, error) {
	set, version, err := s.Store.Settings(ctx, c.project.ID)
	return &policyLogOutput{ETag: tag(version), Body: policyLog(set.DecisionLog)}, err
}

type putPolicyLogInput struct {
	ProjectPath
	Precondition
	Body policyLog
}

func (s *service) putPolicyLog(ctx context.Context, c *call, in *putPolicyLogInput) (*policyLogOutput, error) {
	o, err := s.changeSettings(ctx, c, in.IfMatch, "policy_log.put", c.in("policy-log"), func(set *settings.Settings) error {
		set.DecisionLog = settings.DecisionLog(in.Body)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &policyLogOutput{ETag: tag(o.SettingsVersion), Body: policyLog(o.Settings.DecisionLog)}, nil
}

type policyShadowOutput struct{ Body instance.Disagreements }

func (s *service) getPolicyShadow(ctx context.Context, c *call, _ *ProjectPath) (*policyShadowOutput, error) {
	p, err := s.Revisions.Access(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	return &policyShadowOutput{p.Disagreements()}, nil
}
