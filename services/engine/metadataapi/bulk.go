package metadataapi

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"tenantry/api/errcode"
)

// maxBulks is how many bulks may lie in one another: what is inside is read once
// for each of them.
const maxBulks = 4

// bulk runs commands one after the other, as one piece of work: the first that
// fails undoes all of them, and the path says which.
func bulk(ctx context.Context, c call) (any, error) {
	return c.each(ctx, func(one call, at string) (any, error) {
		answer, err := one.inside(ctx)
		if err != nil {
			return nil, within(err, at)
		}
		return answer, nil
	})
}

// bulkKeepGoing leaves out what fails and answers its error in its place.
func bulkKeepGoing(ctx context.Context, c call) (any, error) {
	return c.each(ctx, func(one call, at string) (any, error) {
		var answer any
		err := c.work.Attempt(func() (err error) {
			answer, err = one.inside(ctx)
			return err
		})
		if err == nil {
			return answer, nil
		}
		e := within(err, at)
		shown := map[string]any{"path": e.Path, "error": e.Message, "code": string(e.Code)}
		if e.Internal != nil {
			shown["internal"] = e.Internal
		}
		return shown, nil
	})
}

// concurrentBulk takes commands that only read.
func concurrentBulk(ctx context.Context, c call) (any, error) {
	return c.each(ctx, func(one call, at string) (any, error) {
		if !one.readOnly() {
			e := errcode.New(errcode.BadRequest, "concurrent_bulk takes commands that only read, not %q", one.Type)
			return nil, within(e.At("$.type"), at)
		}
		answer, err := one.inside(ctx)
		if err != nil {
			return nil, within(err, at)
		}
		return answer, nil
	})
}

// readOnly reports whether a command changes nothing; SQL says so itself.
func (c call) readOnly() bool {
	found, err := c.find()
	if err != nil || found.reads {
		return true // the error is told when it runs
	}
	var args struct {
		ReadOnly bool `json:"read_only"`
	}
	return c.name() == "run_sql" && json.Unmarshal(c.Args, &args) == nil && args.ReadOnly
}

// each runs the commands of a bulk.
func (c call) each(ctx context.Context, run func(one call, at string) (any, error)) (any, error) {
	if c.within >= maxBulks {
		return nil, errcode.New(errcode.ParseFailed, "bulks are nested deeper than %d levels", maxBulks).At("$.type")
	}
	bodies, err := c.bodies()
	if err != nil {
		return nil, err
	}
	answers := make([]any, 0, len(bodies))
	for i, body := range bodies {
		at := fmt.Sprintf("$.args[%d]", i)
		one := call{api: c.api, Request: c.Request, work: c.work, within: c.within + 1}
		if err := one.read(body); err != nil {
			return nil, within(err, at)
		}
		answer, err := run(one, at)
		if err != nil {
			return nil, err
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

// bodies are the commands of a bulk.
func (c call) bodies() ([]json.RawMessage, error) {
	var bodies []json.RawMessage
	if err := json.Unmarshal(c.Args, &bodies); err != nil {
		return nil, errcode.New(errcode.ParseFailed, "expected a list of commands").At("$.args")
	}
	return bodies, nil
}

// inside runs a command of a bulk.
func (c call) inside(ctx context.Context) (any, error) {
	found, err := c.find()
	if err != nil {
		return nil, err
	}
	return found.run(ctx, c)
}

// within places an error of one command in its bulk.
func within(err error, at string) *errcode.Error {
	e := errcode.From(public(err))
	return e.At(at + strings.TrimPrefix(e.Path, "$"))
}
