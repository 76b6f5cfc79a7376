package instance

import (
	"context"
	"time"

	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/services/engine/executor"
)

// Subscription is a subscription that began: its answer can be read again. It is of
// one instance; Resume makes that of another. Safe for use by one goroutine.
type Subscription struct {
	instance *Instance
	session  session.Session
	admitted admitted
	request  executor.Request
}

// Subscribe is Execute for clients that can be sent more than one answer. The
// reading is the first one of a subscription, its subscription nil for other
// operations, and for one that was refused.
func (i *Instance) Subscribe(ctx context.Context, s session.Session, r Request) (Reading, *Subscription, Trail) {
	r.lasting = true
	trail := Trail{Role: s.Role, started: time.Now(), requestID: r.ID}
	result, a, err := i.execute(ctx, s, r, &trail)
	reading := i.reading(s, result, err, &trail)
	if !trail.Executed || !a.subscribes() {
		return reading, nil, trail
	}
	return reading, &Subscription{i, s, a, a.request(s, r)}, trail
}

// Resume goes on with a subscription that began on another instance of the project,
// if it is still allowed. It counts against no rate. The trail of one that is not
// has the error.
func (i *Instance) Resume(s session.Session, r Request) (*Subscription, Trail) {
	r.lasting = true
	trail := Trail{Role: s.Role, started: time.Now(), requestID: r.ID}
	a, err := i.admit(s, &r, &trail)
	if err != nil {
		trail.finish(err)
		return nil, trail
	}
	return &Subscription{i, s, a, a.request(s, r)}, trail
}

// Reading is the answer to a subscription at one moment.
type Reading struct {
	graphqlhttp.Response
	// Run is the run whose result it tells; empty when it tells of none.
	Run string
	// Missing says that there is no such run for the session: the answer is null,
	// and the last.
	Missing bool
	// Lasts says that the answer stays as it is until the run changes. Others may
	// change at any time.
	Lasts bool
}

// Read asks the policy and reads the answer as it is now. The trail has Executed
// unless the policy refused.
func (q *Subscription) Read(ctx context.Context) (Reading, Trail) {
	i, a := q.instance, q.admitted
	trail := Trail{Role: q.session.Role, started: time.Now(), requestID: q.request.RequestID}
	trail.operation(a.operation)
	trail.program(a.program.Program)
	var result executor.Result
	err := i.decide(ctx, q.session, a.about(), a.program.asks, a.vars, &trail)
	if err == nil {
		result, err = i.run(ctx, q.session, a.program.Program, q.request, &trail)
	}
	return i.reading(q.session, result, err, &trail), trail
}

func (i *Instance) reading(s session.Session, result executor.Result, err error, trail *Trail) Reading {
	asked := result.Asked
	return Reading{
		Response: i.respond(s, result, err, trail), Run: asked.Run, Missing: asked.Missing, Lasts: err == nil && asked.Run != "" && !asked.Joined,
	}
}
