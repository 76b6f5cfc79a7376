package metadataapi

import (
	"context"
	"encoding/json"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/services/engine/instance"
)

// Data is what commands on data need.
type Data struct {
	Session session.Session
	// Instance serves the project.
	Instance      *instance.Instance
	ID            string // x-request-id
	TraceParent   string
	ClientHeaders []graphqlhttp.Header
	// Record hears of every command that ran.
	Record func(instance.Trail)
}

// errAdminOnly is what is said of all other commands to who is no admin.
var errAdminOnly = errcode.New(errcode.AccessDenied, "restricted access : admin only").At("$.args")

// OnData reports whether a request has no other commands than those on data, so
// that its caller needs to be no admin.
func OnData(e Endpoint, body []byte) bool {
	c := call{Request: Request{Endpoint: e}}
	return c.read(body) == nil && c.dataOnly()
}

// dataOnly reports whether the command, or every command of a bulk, is on data.
func (c call) dataOnly() bool {
	found, err := c.find()
	return err == nil && (found.data || c.countData() > 0)
}

// countData is how many commands a bulk of commands on data has; 0 for what is
// none.
func (c call) countData() int {
	if name := c.name(); name != "bulk" && name != "concurrent_bulk" || c.within >= maxBulks {
		return 0
	}
	bodies, err := c.bodies()
	if err != nil {
		return 0
	}
	n := 0
	for _, body := range bodies {
		one := call{Request: c.Request, within: c.within + 1}
		if one.read(body) != nil {
			return 0
		}
		switch found, err := one.find(); {
		case err != nil:
			return 0
		case found.data:
			n++
		default:
			inner := one.countData()
			if inner == 0 {
				return 0
			}
			n += inner
		}
	}
	return n
}

// checkBatch bounds the commands of a client's bulk as a batch of operations is;
// admins seed databases with larger ones.
func (c call) checkBatch() error {
	n := c.countData()
	if n == 0 || c.Data.Session.IsAdmin() {
		return nil
	}
	if e := c.Data.Instance.CheckBatch(c.Data.Session, n); e != nil {
		return e.At("$.args")
	}
	return nil
}

// onData runs a command of the JSON data language on the project as the edits
// before it have made it.
func onData(ctx context.Context, c call) (any, error) {
	name := c.name()
	engine := c.Data.Instance
	if c.work != nil {
		var err error
		if engine, err = c.work.Engine(ctx, !commands(c.Endpoint)[name].reads); err != nil {
			return nil, err
		}
	}
	answer, trail, err := engine.ExecuteCommand(ctx, c.Data.Session, instance.Command{
		Type: name, Args: c.Args, ID: c.Data.ID, TraceParent: c.Data.TraceParent, ClientHeaders: c.Data.ClientHeaders,
	})
	c.Data.Record(trail)
	return json.RawMessage(answer), err
}
