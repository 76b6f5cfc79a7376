package authz

import (
	"container/list"
	"context"
	"fmt"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
)

// engine is a project's compiled modules with the queries that were made of them.
// It takes dozens of times the room of the modules' text, so engines are kept as
// long as there is room, and made again when they are needed again.
type engine struct {
	compiler *ast.Compiler
	store    storage.Store

	mu       sync.Mutex
	queries  map[string]*rego.PreparedEvalQuery
	partials map[string]*rego.PreparedPartialQuery
}

// query prepares a query once.
func (e *engine) query(ctx context.Context, text string) (*rego.PreparedEvalQuery, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if q, ok := e.queries[text]; ok {
		return q, nil
	}
	q, err := rego.New(rego.Query(text), rego.Compiler(e.compiler), rego.Store(e.store), rego.StrictBuiltinErrors(true)).PrepareForEval(ctx)
	if err != nil {
		return nil, err
	}
	e.queries[text] = &q
	return &q, nil
}

// engineBytes bounds the engines that are kept in the process.
const engineBytes = 32 << 20

var engines = &engineCache{most: engineBytes, order: list.New(), found: map[any]*list.Element{}}

// engineCache keeps the engines that were used last.
type engineCache struct {
	mu    sync.Mutex
	most  int
	size  int
	order *list.List // of cached, the one used last in front
	found map[any]*list.Element
}

type cached struct {
	key    any
	engine *engine
	size   int
}

func (c *engineCache) get(key any) *engine {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.found[key]
	if !ok {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(cached).engine
}

// put keeps an engine; text and data are the bytes that it was made of.
func (c *engineCache) put(key any, e *engine, text, data int) {
	size := 48<<10 + 40*text + 15*data // as measured
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.found[key]; ok {
		c.drop(old)
	}
	c.found[key] = c.order.PushFront(cached{key, e, size})
	c.size += size
	for c.size > c.most && c.order.Len() > 1 {
		c.drop(c.order.Back())
	}
}

func (c *engineCache) drop(e *list.Element) {
	dropped := c.order.Remove(e).(cached)
	delete(c.found, dropped.key)
	c.size -= dropped.size
}

// engine finds the policy's engine, or makes it again.
func (p *Policy) engine(ctx context.Context) (*engine, error) {
	if e := engines.get(p.hash); e != nil {
		return e, nil
	}
	e, _, err := build(ctx, p.modules, p.data)
	if err != nil {
		return nil, fmt.Errorf("compile the policy again: %w", err)
	}
	p.keep(e)
	return e, nil
}

func (p *Policy) keep(e *engine) {
	text := 0
	for _, m := range p.modules {
		text += len(m.Text)
	}
	engines.put(p.hash, e, text, len(p.data))
}
