package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// bench is one run: the servers and what to measure.
type bench struct {
	options
	database *database
	hook     *process
	floor    *process
	ours     *tenantry
	floorAt  string // host:port
	texts    map[string]string
	// firstAnswer of another node, in milliseconds after its start.
	firstAnswer float64
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}

// measure does what the options say, from starting to stopping everything.
func measure(ctx context.Context, o options) error {
	folder, remove, err := dataFolder(o.cache, o.scale)
	if err != nil {
		return err
	}
	defer remove()
	b := &bench{options: o, texts: operations(queriesText)}
	defer b.stop()
	if err := b.start(ctx, folder); err != nil {
		return err
	}
	switch o.command {
	case "profile":
		return b.profiles(ctx)
	case "peers":
		if err := b.chooseClients(ctx); err != nil {
			return err
		}
		return b.peers(ctx)
	}
	return b.run(ctx)
}

func (b *bench) start(ctx context.Context, folder string) (err error) {
	if b.database, err = startDatabase(ctx, folder, b.scale, b.say); err != nil {
		return fmt.Errorf("Postgres: %w", err)
	}
	free, err := freeAddresses(2)
	if err != nil {
		return err
	}
	hookAt, floorAt := free[0], free[1]
	hook := "http://" + hookAt + "/hook"
	if b.hook, err = start("the action's handler", b.options.floor, nil, "MODE=webhook", "ADDR="+hookAt); err != nil {
		return err
	}
	if err := b.hook.await(ctx, 10*time.Second, 10*time.Millisecond, reachable(hookAt)); err != nil {
		return err
	}
	b.floor, err = start("the floor", b.options.floor, nil, "ADDR="+floorAt, "DSN="+b.database.url(dataDatabase), fmt.Sprintf("POOL=%d", b.pool), "HOOK="+hook)
	if err != nil {
		return err
	}
	if err := b.floor.await(ctx, 10*time.Second, 10*time.Millisecond, reachable(floorAt)); err != nil {
		return err
	}
	b.floorAt = floorAt
	if b.ours, err = startTenantry(ctx, b.options, b.database, hook); err != nil {
		return fmt.Errorf("Tenantry: %w", err)
	}
	return nil
}

func (b *bench) stop() {
	if b.ours != nil {
		b.ours.stop()
	}
	b.floor.stop()
	b.hook.stop()
	if b.database != nil {
		b.database.stop()
	}
}

// pair are both contestants of a query, with the same ids in the same order.
func (b *bench) pair(q query) (floor, ours contestant) {
	floor = b.floorContestant(q, q.floor)
	ours = contestant{name: q.name + " of Tenantry", address: b.ours.public, pid: b.ours.pid()}
	for _, id := range q.ids(b.ids, b.scale) {
		ours.requests = append(ours.requests, b.ours.request(q, b.texts[q.name], id))
	}
	return floor, ours
}

func (b *bench) floorContestant(q query, route string) contestant {
	c := contestant{name: route + " of the floor", address: b.floorAt, pid: b.floor.pid()}
	for _, id := range q.ids(b.ids, b.scale) {
		c.requests = append(c.requests, q.floorRequest(route, id))
	}
	return c
}

func (b *bench) run(ctx context.Context) error {
	if err := b.compareAll(); err != nil {
		return err
	}
	// Before the load, not in its wake: a machine that has just worked for minutes may
	// take a quarter longer for whatever it does.
	var err error
	if b.firstAnswer, err = b.timeStart(ctx); err != nil {
		return err
	}
	if b.command != "smoke" {
		if err := b.warm(ctx); err != nil {
			return err
		}
		if err := b.chooseClients(ctx); err != nil {
			return err
		}
		if err := b.checkFloor(ctx); err != nil {
			return err
		}
	}
	result, err := b.rows(ctx)
	if err != nil {
		return err
	}
	return b.report(ctx, result)
}

func (b *bench) compareAll() error {
	for _, q := range b.only {
		floor, ours := b.pair(q)
		n := min(b.compare, b.ids)
		if err := compareBodies(q, ours.address, floor.address, ours.requests[:n], floor.requests[:n]); err != nil {
			return err
		}
	}
	b.say("%d bodies of each query are the same", min(b.compare, b.ids))
	return nil
}

// warm has every backend of both pools read the data: the first time that a process
// touches a page of the shared buffers costs it a page fault, of which a request of
// Q3 has twenty at first and none later.
func (b *bench) warm(ctx context.Context) error {
	o := b.options
	o.clients = b.pool
	for _, name := range []string{"Q3", "Q8", "Q4", "Q6"} {
		q, _ := queryByName(name)
		floor, ours := b.pair(q)
		for _, c := range []contestant{floor, ours} {
			if err := ctx.Err(); err != nil {
				return err
			}
			if _, err := watch(c, b.database, o, warmTime); err != nil {
				return err
			}
		}
	}
	return nil
}

// warmTime is how long each of them is asked for each of the queries that read most.
const warmTime = 3 * time.Second

// checkFloor looks at the floor alone before the long part of a run, again if
// something disturbed it.
func (b *bench) checkFloor(ctx context.Context) error {
	const attempts = 3
	for left := attempts - 1; ; left-- {
		measured, err := b.floorCosts(ctx, b.only, 5, b.window/2)
		if err != nil {
			return err
		}
		if len(suspect(measured)) == 0 || left == 0 {
			return b.accept(measured)
		}
		b.say("the floor is not like the reference; once more")
	}
}

// floorCosts measures the floor alone: each query's window follows one of Q1, and
// what counts is the median of their relations, times what Q1 costs, because what Q1
// costs drifts with the machine.
func (b *bench) floorCosts(ctx context.Context, of []query, windows int, length time.Duration) (costs, error) {
	relations := map[string][]float64{}
	one, _ := queryByName("Q1")
	var ones []float64
	for range windows {
		for _, q := range of {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if q.name == one.name {
				continue
			}
			beside, err := watch(b.floorContestant(one, one.reference()), b.database, b.options, length)
			if err != nil {
				return nil, err
			}
			w, err := watch(b.floorContestant(q, q.reference()), b.database, b.options, length)
			if err != nil {
				return nil, err
			}
			ones = append(ones, beside.cpu())
			relations[q.name] = append(relations[q.name], share(w.cpu(), beside.cpu()))
		}
	}
	if len(ones) == 0 { // nothing but Q1 is asked for
		w, err := watch(b.floorContestant(one, one.reference()), b.database, b.options, length)
		if err != nil {
			return nil, err
		}
		ones = append(ones, w.cpu())
	}
	measured := costs{one.name: median(ones)}
	for name, seen := range relations {
		measured[name] = median(seen) * measured[one.name]
	}
	return measured, nil
}

// accept refuses a floor that is suspect, unless told to go on.
func (b *bench) accept(measured costs) error {
	err := refusal(suspect(measured))
	if err != nil && b.force {
		b.say("%v\nGoing on as told: this run proves nothing", err)
		return nil
	}
	return err
}

// rows measures each query in alternating windows.
func (b *bench) rows(ctx context.Context) ([]row, error) {
	var out []row
	one, _ := queryByName("Q1")
	beside := b.floorContestant(one, one.floor)
	for _, q := range b.only {
		floor, ours := b.pair(q)
		r, err := b.alternate(ctx, q, floor, ours, &beside)
		if err != nil {
			return nil, err
		}
		b.say("%s measured: a request of the floor cost its server %.0f µs and Postgres %.0f, one of ours %.0f and %.0f",
			q.name, r.floor.server, r.floor.postgres, r.ours.server, r.ours.postgres)
		out = append(out, r)
	}
	return out, nil
}

// alternate measures two contestants; beside, where given, is the floor's Q1, to
// which the first one's cost is set in relation at the same time.
func (b *bench) alternate(ctx context.Context, q query, floor, ours contestant, beside *contestant) (row, error) {
	for _, c := range []contestant{floor, ours} { // plans, statements, and code compiled at run time
		if _, err := watch(c, b.database, b.options, b.window/2); err != nil {
			return row{}, err
		}
	}
	var floors, own []window
	var relations []float64
	for range b.pairs {
		if err := ctx.Err(); err != nil {
			return row{}, errors.New("interrupted")
		}
		f, err := watch(floor, b.database, b.options, b.window)
		if err != nil {
			return row{}, err
		}
		o, err := watch(ours, b.database, b.options, b.window)
		if err != nil {
			return row{}, err
		}
		floors, own = append(floors, f), append(own, o)
		if beside != nil {
			w, err := watch(*beside, b.database, b.options, b.window/2)
			if err != nil {
				return row{}, err
			}
			relations = append(relations, share(f.cpu(), w.cpu()))
		}
	}
	r := newRow(q, floors, own)
	r.relation = median(relations)
	return r, nil
}
