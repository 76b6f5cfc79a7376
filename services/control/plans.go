package control

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"tenantry/policy/authz"
	"tenantry/policy/limits"
	"tenantry/tenants"
	"tenantry/tenants/store"
)

// bounds are what a plan grants, by name.
type bounds map[string]int

type planView struct {
	Name   string `json:"name"`
	Bounds bounds `json:"bounds" nullable:"false"`
	// Source says whose word the bounds are.
	Source    string     `json:"source" enum:"configuration,stored"`
	UpdatedAt *time.Time `json:"updated_at,omitempty"`
}

type planOutput struct{ Body planView }

type plansOutput struct {
	Body struct {
		Items []planView `json:"items" nullable:"false"`
	}
}

// PlanPath are the parameters of paths of one plan.
type PlanPath struct {
	Plan string `path:"plan" pattern:"^[a-z][a-z0-9_-]{0,38}$" doc:"Name of the plan."`
}

type putPlanInput struct {
	PlanPath
	Body struct {
		Bounds bounds `json:"bounds" nullable:"false" doc:"By name: requests (operations per second), concurrent (operations at a time, on each node), actions (calls of actions per minute), calls (of handlers at a time, on each node), sockets (on each node), timeout (seconds that a call of a handler may take), egress (KiB per minute of calls of the tenant's URLs), project-egress (the same of each project by itself), connections (to each database of a project, on each node). 0, or absent, is no bound."`
	}
}

type tenantPlanView struct {
	Plan   string `json:"plan"`
	Bounds bounds `json:"bounds" nullable:"false" doc:"What holds for the tenant: the plan's bounds, with its own in their place."`
	Quota  bounds `json:"quota" nullable:"false" doc:"Bounds of this tenant alone."`
}

type tenantPlanOutput struct{ Body tenantPlanView }

type setTenantPlanInput struct {
	TenantPath
	Body struct {
		Plan  string `json:"plan" pattern:"^[a-z][a-z0-9_-]{0,38}$"`
		Quota bounds `json:"quota,omitempty" nullable:"false" doc:"Bounds of this tenant alone, in the place of the plan's; 0 takes one away. Absent: none."`
	}
}

func (s *service) registerPlans() {
	tag := "Plans"
	register(s, endpoint{id: "listPlans", method: http.MethodGet, path: "/plans", class: authz.ClassOperator, tag: tag,
		summary: "The plans of the installation and what they grant"}, s.listPlans)
	register(s, endpoint{id: "putPlan", method: http.MethodPut, path: "/plans/{plan}", class: authz.ClassOperator, tag: tag,
		summary: "Set what a plan grants, whatever the configuration says"}, s.putPlan)
	register(s, endpoint{id: "deletePlan", method: http.MethodDelete, path: "/plans/{plan}", class: authz.ClassOperator, tag: tag, status: http.StatusNoContent,
		summary: "Forget what was set: the configuration counts again"}, s.deletePlan)
	register(s, endpoint{id: "getTenantPlan", method: http.MethodGet, path: "/tenants/{tenant}/plan", class: authz.ClassRead, tag: tag,
		summary: "The plan of a tenant and what bounds it"}, s.getTenantPlan)
	register(s, endpoint{id: "setTenantPlan", method: http.MethodPut, path: "/tenants/{tenant}/plan", class: authz.ClassOperator, tag: tag,
		summary: "Set the plan, and bounds of this tenant alone"}, s.setTenantPlan)
}

// plans are all of them by name; a stored one goes before the configuration's.
func (s *service) plans(ctx context.Context) (map[string]planView, error) {
	out := map[string]planView{}
	for name, p := range s.Plans {
		out[name] = planView{Name: name, Bounds: p.Bounds(), Source: "configuration"}
	}
	stored, err := s.Store.Plans(ctx)
	for _, p := range stored {
		out[p.Name] = viewPlan(p)
	}
	return out, err
}

func viewPlan(p tenants.Plan) planView {
	at := p.UpdatedAt.UTC()
	return planView{Name: p.Name, Bounds: limits.Plan{}.With(p.Bounds).Bounds(), Source: "stored", UpdatedAt: &at}
}

func (s *service) listPlans(ctx context.Context, _ *call, _ *empty) (*plansOutput, error) {
	plans, err := s.plans(ctx)
	out := &plansOutput{}
	out.Body.Items = []planView{}
	for _, name := range slices.Sorted(maps.Keys(plans)) {
		out.Body.Items = append(out.Body.Items, plans[name])
	}
	return out, err
}

func (s *service) putPlan(ctx context.Context, c *call, in *putPlanInput) (*planOutput, error) {
	if mistakes := in.Body.Bounds.check("/bounds"); mistakes != nil {
		return nil, invalid(mistakes...)
	}
	out := &planOutput{}
	err := s.Store.Change(ctx, nil, func(ctx context.Context, tx *store.Tx) error {
		p, err := tx.PutPlan(ctx, in.Plan, in.Body.Bounds)
		if err != nil {
			return err
		}
		out.Body = viewPlan(p)
		tx.Record(c.event("plan.put", "plans/"+in.Plan, map[string]any{"bounds": in.Body.Bounds}))
		return nil
	})
	return out, err
}

func (s *service) deletePlan(ctx context.Context, c *call, in *PlanPath) (*empty, error) {
	return nil, s.Store.Change(ctx, nil, func(ctx context.Context, tx *store.Tx) error {
		tx.Record(c.event("plan.delete", "plans/"+in.Plan, nil))
		return tx.DeletePlan(ctx, in.Plan)
	})
}

func (s *service) getTenantPlan(_ context.Context, c *call, _ *TenantPath) (*tenantPlanOutput, error) {
	t := c.tenant
	plan := s.Plans[t.Plan]
	if t.PlanBounds != nil {
		plan = limits.Plan{}.With(t.PlanBounds)
	}
	out := &tenantPlanOutput{tenantPlanView{Plan: t.Plan, Bounds: plan.With(t.Quota).Bounds(), Quota: bounds{}}}
	maps.Copy(out.Body.Quota, t.Quota)
	return out, nil
}

func (s *service) setTenantPlan(ctx context.Context, c *call, in *setTenantPlanInput) (*tenantOutput, error) {
	mistakes := in.Body.Quota.check("/quota")
	plans, err := s.plans(ctx)
	if err != nil {
		return nil, err
	}
	if _, known := plans[in.Body.Plan]; !known && len(plans) > 0 && in.Body.Plan != c.tenant.Plan {
		mistakes = append(mistakes, wrong("/plan", "expected one of the installation's plans: %s", strings.Join(slices.Sorted(maps.Keys(plans)), ", ")))
	}
	if mistakes != nil {
		return nil, invalid(mistakes...)
	}
	quota := map[string]int{}
	maps.Copy(quota, in.Body.Quota)
	detail := map[string]any{"plan": in.Body.Plan, "quota": quota}
	return s.changeTenant(ctx, c, "tenant.plan", detail, func(ctx context.Context, tx *store.Tx) (tenants.Tenant, error) {
		return tx.UpdateTenant(ctx, c.tenant.ID, store.TenantEdit{Plan: &in.Body.Plan, Quota: quota})
	})
}

// check finds what is wrong with bounds at a place of the body.
func (b bounds) check(at string) (mistakes []Mistake) {
	found := limits.CheckBounds(b)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		mistakes = append(mistakes, wrong(at+"/"+escapePointer(name), "%s", found[name]))
	}
	return mistakes
}
