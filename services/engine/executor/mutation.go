package executor

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"tenantry/api/errcode"
	"tenantry/services/engine/dialect"
	"tenantry/services/engine/plan"
	"tenantry/services/engine/source"
)

// maxRetries of a mutation that collided with another transaction.
const maxRetries = 3

// mutation validates the input where a permission says so, and runs the fields.
// One that is a single transaction is tried again when it collided with another
// one: nothing of it has happened then.
func (r *run) mutation(ctx context.Context) error {
	if err := r.validate(ctx); err != nil {
		return err
	}
	for attempt := 0; ; attempt++ {
		err := r.fields(ctx)
		if err == nil || attempt == maxRetries || errcode.From(err).Code != errcode.ConcurrentUpdate || !r.oneTransaction() {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(5*time.Millisecond + rand.N(20*time.Millisecond<<attempt)):
		}
	}
}

// oneTransaction reports whether all that the mutation does is undone when its
// transaction is.
func (r *run) oneTransaction() bool {
	name := ""
	for i, f := range r.program.Plan.Fields {
		if f.Constant != nil {
			continue
		}
		own := r.program.steps[i].source
		if f.Action != nil || name != "" && own != name {
			return false
		}
		name = own
	}
	return true
}

// fields runs the fields in order. Table fields that follow one another on the
// same source share a transaction; an action ends it, because what a webhook
// did can't be undone and it must see what was written before.
func (r *run) fields(ctx context.Context) error {
	fields := r.program.Plan.Fields
	for i := 0; i < len(fields); {
		f := fields[i]
		switch {
		case f.Constant != nil:
			r.parts[i] = f.Constant
			i++
		case f.Action != nil:
			if err := r.action(ctx, i, f); err != nil {
				return err
			}
			i++
		default:
			end := r.group(i)
			if err := r.write(ctx, i, end); err != nil {
				return err
			}
			i = end
		}
	}
	return nil
}

// group ends before the first field after i that doesn't belong to the same
// transaction.
func (r *run) group(i int) int {
	name := r.program.steps[i].source
	end := i + 1
	for end < len(r.program.steps) && (r.program.steps[end].source == name || r.program.Plan.Fields[end].Constant != nil) {
		end++
	}
	return end
}

func (r *run) write(ctx context.Context, from, to int) error {
	name := r.program.steps[from].source
	src, err := r.source(name)
	if err != nil {
		return err
	}
	var writes []int
	for i := from; i < to; i++ {
		switch f := r.program.Plan.Fields[i]; {
		case f.Constant != nil:
			r.parts[i] = f.Constant
		case f.Updates != nil && len(f.Updates) == 0:
			r.parts[i] = []byte("[]")
		case empty(f.Insert):
			r.parts[i] = nothingInserted(f.Insert)
		default:
			writes = append(writes, i)
		}
	}
	if len(writes) == 0 {
		return nil
	}
	if len(writes) == 1 && r.program.steps[writes[0]].alone && !src.Isolated() {
		return r.writeAlone(ctx, src, writes[0], name)
	}
	return src.Transaction(ctx, func(ctx context.Context, tx *source.Tx) error {
		for _, i := range writes {
			if err := r.writeOne(ctx, tx, i, name); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeAlone runs the only statement of a mutation, without the two round trips
// of a transaction.
func (r *run) writeAlone(ctx context.Context, src *source.Source, i int, name string) error {
	st := &r.program.steps[i]
	bound, err := r.values.bind(st.statement)
	if err != nil {
		return at(err, st.errorPath)
	}
	started := time.Now()
	r.parts[i], err = src.Alone(ctx, bound)
	r.observe(ctx, Statement{Source: name, Count: 1, Took: time.Since(started), Err: err})
	if err != nil {
		return at(err, st.errorPath)
	}
	return nil
}

func (r *run) writeOne(ctx context.Context, tx *source.Tx, i int, name string) error {
	st := &r.program.steps[i]
	if st.tree != nil {
		return r.writeTree(ctx, tx, i, name)
	}
	if st.updates == nil {
		value, err := r.writeAndAnswer(ctx, tx, st, name)
		r.parts[i] = value
		return err
	}
	part := []byte{'['}
	for n := range st.updates {
		value, err := r.writeAndAnswer(ctx, tx, &st.updates[n], name)
		if err != nil {
			return err
		}
		if n > 0 {
			part = append(part, ',')
		}
		part = append(part, value...)
	}
	r.parts[i] = append(part, ']')
	return nil
}

// writeAndAnswer runs a mutation's statements; the value is its JSON.
func (r *run) writeAndAnswer(ctx context.Context, tx *source.Tx, st *step, name string) ([]byte, error) {
	value, verdict, err := r.writeStatement(ctx, tx, st.statement, r.values, name)
	if err != nil {
		return nil, at(err, st.errorPath)
	}
	if err := refused(verdict, st.most); err != nil {
		return nil, err.At(st.checkPath)
	}
	if st.answer.SQL == "" {
		return value, nil
	}
	v := r.values
	v.written = string(value)
	value, _, err = r.writeStatement(ctx, tx, st.answer, v, name)
	if err != nil {
		return nil, at(err, st.errorPath)
	}
	return value, nil
}

// refused is the error of rows that the role may not write; nil if it may.
func refused(v source.Verdict, most int) *errcode.Error {
	switch v {
	case source.Held:
		return nil
	case source.TooMany:
		return tooMany(most)
	}
	return errcode.New(errcode.PermissionError, "check constraint of an insert/update permission has failed")
}

func tooMany(most int) *errcode.Error {
	return errcode.New(errcode.PermissionError, "more rows are affected than the permission allows at once: %d", most)
}

func (r *run) writeStatement(ctx context.Context, tx *source.Tx, st dialect.Statement, v values, name string) ([]byte, source.Verdict, error) {
	bound, err := v.bind(st)
	if err != nil {
		return nil, source.Failed, err
	}
	started := time.Now()
	value, verdict, err := tx.Write(ctx, bound)
	r.observe(ctx, Statement{Source: name, Count: 1, Took: time.Since(started), Err: err})
	return value, verdict, err
}

// nothingInserted answers an insert of no objects, for which there is no SQL.
func nothingInserted(in *plan.Insert) []byte {
	out := []byte{'{'}
	for i, m := range in.Returning.Members {
		out = appendKey(out, i, m.Key)
		switch {
		case m.AffectedRows:
			out = append(out, '0')
		case m.Text != nil:
			text, _ := json.Marshal(*m.Text) // a GraphQL name
			out = append(out, text...)
		default:
			out = append(out, "[]"...)
		}
	}
	return append(out, '}')
}
