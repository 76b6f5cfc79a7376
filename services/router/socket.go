package router

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/api/webhook"
	"tenantry/policy/authn"
	"tenantry/services/engine/instance"
	"tenantry/services/live"
	"tenantry/services/router/socket"
	"tenantry/tenants"
)

// socketPath is what differs between the paths that speak GraphQL over WebSocket.
type socketPath struct {
	pathErrors bool // errors are {path, error, code} (/v1alpha1)
	relay      bool
}

// socketOr opens a WebSocket where the client asks for one; other requests go to
// next.
func (r *router) socketOr(next fiber.Handler, path socketPath) fiber.Handler {
	upgrade := websocket.New(r.serveSocket, websocket.Config{
		Subprotocols: socket.Subprotocols,
		RecoverHandler: func(*websocket.Conn) {
			if cause := recover(); cause != nil {
				r.panicked(cause)
			}
		},
	})
	return func(c *fiber.Ctx) error {
		if !websocket.IsWebSocketUpgrade(c) {
			return next(c)
		}
		g, sent := generation(c), copyHeaders(c)
		origin, _ := sent.Lookup(fiber.HeaderOrigin)
		allowed, cookies := socketOrigin(g.Instance.Settings.Auth.CORS.Origins, origin, string(c.Context().Host()))
		if !allowed {
			e := errcode.New(errcode.AccessDenied, "pages of this origin may not open sockets: it is none of the project's CORS origins")
			r.denied(c, g, e)
			return refuse(c, e.WithStatus(fiber.StatusForbidden))
		}
		offered, _ := sent.Lookup("sec-websocket-protocol")
		c.Locals(socketKey, &upgraded{
			router: r, project: g.Project, sockets: g.Instance.SocketsAllowed(), socketPath: path, modern: socket.Modern(offered),
			exchange: exchange{generation: g, headers: sent.withoutHandshake(cookies), ip: r.ClientIP(c), id: requestID(c), relay: path.relay, originChecked: true},
		})
		c.Locals(generationKey, nil) // the connection keeps these values as long as it is open
		return upgrade(c)
	}
}

// postOnly answers a GET on a path that takes POST alone, but for sockets.
func postOnly(c *fiber.Ctx) error {
	c.Set(fiber.HeaderAllow, fiber.MethodPost)
	return fiber.ErrMethodNotAllowed
}

const socketKey = "socket"

// serveSocket is the life of one socket, on a goroutine of its own.
func (r *router) serveSocket(c *websocket.Conn) {
	u, ok := c.Locals(socketKey).(*upgraded)
	if !ok {
		return
	}
	r.Sockets.Serve(r.Base, socket.Opening{
		Conn: c.Conn, Project: u.project.ID, Tenant: u.project.TenantID, TenantSockets: u.sockets, Modern: u.modern, Edge: u, Metrics: r.Metrics.ForProject(u.project.Slug), Panicked: r.panicked,
	})
}

func (r *router) panicked(cause any) {
	r.Logger.Error("a socket ended in a panic", "type", "websocket-log", "panic", fmt.Sprint(cause))
}

// upgraded is a connection that became a socket; it is the socket's edge.
type upgraded struct {
	socketPath
	router  *router
	project tenants.Project
	sockets int // that the tenant may have
	modern  bool
	// exchange holds the headers of the upgrade. It has no generation once the
	// client was let in: a socket must not keep an old one in memory.
	exchange exchange
}

// Authenticate lets a client in, by the same rules as a request over HTTP.
func (u *upgraded) Authenticate(ctx context.Context, sent []graphqlhttp.Header) (socket.Session, error) {
	x := u.exchange
	u.exchange.generation = nil
	x.headers = x.headers.under(sent).without(webhook.HeaderIdempotencyKey) // of a request, and a socket has many
	g, err := u.router.serving(ctx, u.project.ID)
	if err == nil {
		x.generation = g
		var s session.Session
		if s, err = x.authenticate(ctx); err == nil {
			return &client{upgraded: u, headers: x.headers, session: s, checked: g}, nil
		}
	}
	s := session.Session{IP: x.ip}
	u.router.record(x, s, instance.Refusal(s, errcode.From(err)))
	return nil, err
}

// Refusal is an error of the protocol; nothing of it is internal.
func (u *upgraded) Refusal(e *errcode.Error) socket.Refusal { return u.refusal(e, false) }

// refusal is an error in the form of the path.
func (u *upgraded) refusal(e *errcode.Error, internal bool) socket.Refusal {
	if u.pathErrors {
		one := restError(e, internal)
		return socket.Refusal{Error: one, Document: one}
	}
	document := graphqlhttp.ErrorBody(e, internal)
	return socket.Refusal{Error: document[len(`{"errors":[`) : len(document)-len(`]}`)], Document: document}
}

// authenticate asks the generation of x who its headers stand for.
func (x exchange) authenticate(ctx context.Context) (session.Session, error) {
	return x.generation.Authn.AuthenticateCall(ctx, x.call(authn.GraphQL, nil))
}

// serving is the current generation of a project that serves.
func (r *router) serving(ctx context.Context, projectID string) (*live.Generation, error) {
	entry, err := r.Live.Get(ctx, projectID)
	if err != nil {
		return nil, err
	}
	g := entry.Current()
	if e := g.Refused(); e != nil {
		return nil, e
	}
	return g, nil
}

// client is a socket that was let in: its session stays as it was made, its
// operations run on whatever generation is current.
type client struct {
	*upgraded
	headers headers // with those of connection_init
	session session.Session

	mu      sync.Mutex
	checked *live.Generation // the session counts in this one
}

// on is an exchange of this client with a generation.
func (c *client) on(g *live.Generation) exchange {
	x := c.upgraded.exchange
	x.generation, x.headers = g, c.headers
	return x
}

// Expires is when the credential ends.
func (c *client) Expires() time.Time { return c.session.Expires }

// Check finds out whether the session still counts, when the project changed.
func (c *client) Check(ctx context.Context) error {
	g, err := c.router.serving(ctx, c.project.ID)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && c.checked != g {
		if err = c.confirm(ctx, g); err == nil {
			c.checked = g
		}
	}
	if err != nil && ctx.Err() == nil {
		c.router.record(c.on(c.checked), c.session, instance.Refusal(c.session, errcode.From(err)))
	}
	return err
}

// confirm authenticates again where the answer may have become another one. What
// tokens and services say depends on the settings alone, and is not asked for
// anew at every change of metadata.
func (c *client) confirm(ctx context.Context, g *live.Generation) error {
	switch c.session.Auth {
	case session.AuthAdminSecret, session.AuthAPIKey:
	default:
		now, then := g.Instance.Settings, c.checked.Instance.Settings
		if reflect.DeepEqual(now.Auth, then.Auth) && reflect.DeepEqual(now.Revoked, then.Revoked) &&
			(c.session.Delegation == nil || reflect.DeepEqual(now.SigningKeys, then.SigningKeys)) {
			return nil
		}
	}
	s, err := c.on(g).authenticate(ctx)
	if err != nil {
		return err
	}
	if s.Role != c.session.Role || s.Auth != c.session.Auth || s.Actor != c.session.Actor || !maps.Equal(s.Variables, c.session.Variables) {
		return errcode.New(errcode.AccessDenied, "the session counts no longer: the credential now stands for another one")
	}
	return nil
}

// Run runs an operation as one request over HTTP runs.
func (c *client) Run(ctx context.Context, o socket.Operation, send socket.Send) (socket.Subscription, *socket.Refusal) {
	x := c.on(c.current())
	x.id = fmt.Sprintf("%s:%d", x.id, o.Number)
	requests, _, err := graphqlhttp.Decode(o.Payload)
	if err != nil {
		e := errcode.From(err)
		return nil, c.refuse(x, instance.Refusal(c.session, e))
	}
	if e := x.generation.Instance.CheckBody(c.session, len(o.Payload)); e != nil {
		return nil, c.refuse(x, instance.Refusal(c.session, e))
	}
	if requests[0].Extensions[graphqlhttp.IdempotencyKey] != nil {
		// Who lost the connection and asks again wants what this comes to, as over HTTP,
		// where a client that leaves ends nothing.
		ctx = c.router.Base
	}
	request := x.request(requests[0])
	reading, live, trail := x.generation.Instance.Subscribe(ctx, c.session, request)
	if !trail.Executed && reading.Err != nil {
		return nil, c.refuse(x, trail)
	}
	c.router.record(x, c.session, trail)
	result := c.result(x, reading.Response)
	if live == nil {
		send(result)
		return nil, nil
	}
	s := &subscription{client: c, exchange: x, request: request, live: live}
	return func(ctx context.Context, send socket.Send) *socket.Refusal {
		return s.follow(ctx, reading, result, send)
	}, nil
}

// current is the generation in which the session counts: that which serves, a moment
// ago.
func (c *client) current() *live.Generation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.checked
}

// refuse records an operation that is not allowed, and tells why.
func (c *client) refuse(x exchange, t instance.Trail) *socket.Refusal {
	c.router.record(x, c.session, t)
	refusal := c.refusal(t.Err, x.showsInternal(c.session))
	return &refusal
}

// result is what the client is sent of an operation that ran.
func (c *client) result(x exchange, r graphqlhttp.Response) []byte {
	if r.Err != nil {
		return c.failure(x, r)
	}
	return r.Document()
}

// failure is the result of an operation that failed when it ran.
func (c *client) failure(x exchange, r graphqlhttp.Response) []byte {
	document := r.Document()
	if c.pathErrors {
		document = slices.Concat([]byte(`{"errors":[`), restError(r.Err, x.showsInternal(c.session)), []byte(`]}`))
	}
	return slices.Concat([]byte(`{"data":null,`), document[1:])
}

// withoutHandshake leaves out what speaks of the upgrade alone, and cookies
// unless they count.
func (h headers) withoutHandshake(cookies bool) headers {
	return slices.DeleteFunc(slices.Clone(h), func(one graphqlhttp.Header) bool {
		name := strings.ToLower(one.Name)
		return name == "connection" || name == "upgrade" || strings.HasPrefix(name, "sec-websocket-") || name == "cookie" && !cookies
	})
}

// without leaves out a header.
func (h headers) without(name string) headers {
	return slices.DeleteFunc(h, func(one graphqlhttp.Header) bool { return strings.EqualFold(one.Name, name) })
}

// under is h below other headers, which replace those of the same name.
func (h headers) under(other headers) headers {
	rest := slices.DeleteFunc(slices.Clone(h), func(one graphqlhttp.Header) bool {
		_, replaced := other.Lookup(one.Name)
		return replaced
	})
	return append(slices.Clone(other), rest...)
}
