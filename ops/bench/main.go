// Bench measures Tenantry beside a hand-written floor, over HTTP, on one machine:
// the same data set, the same Postgres, a pool of 8 for both, in alternating
// short windows. `make bench` runs it; ops/docs/performance.md says what the
// columns mean and holds the last table.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// options are the flags of a run.
type options struct {
	command    string        // run, smoke, peers or profile
	binary     string        // the built program
	floor      string        // the built floor
	cache      string        // folder of what is kept between runs: the loaded data set
	only       []query       // the queries to measure
	window     time.Duration // length of one window
	settle     time.Duration // running before each window, not counted
	pairs      int           // windows of each contestant per query
	clients    int           // concurrent connections; 0: as many as make the floor most like the reference
	pool       int           // connections to Postgres of each contestant
	ids        int           // prepared requests per query
	compare    int           // bodies compared per query
	starts     int           // how often the start of the program is measured
	scale      int           // divides the data set's sizes
	check      bool          // exit 1 when a target is missed
	force      bool          // measure although the floor is refused
	document   string        // page that keeps the table of a whole run; empty: none
	profileDir string        // folder for profiles
}

// Exit codes.
const (
	exitFailed  = 1 // a step failed, or with -check a target was missed
	exitUsage   = 2
	exitRefused = 3 // the floor is not the floor: nothing was proved
)

var (
	errMissed  = errors.New("targets were missed")
	errRefused = errors.New("the run is refused")
)

func main() {
	debug.SetGCPercent(400) // this process shares the cores with those it measures
	o, err := readOptions(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = measure(ctx, o)
	stop()
	switch {
	case err == nil:
	case errors.Is(err, errRefused):
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(exitRefused)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(exitFailed)
	}
}

func readOptions(args []string) (options, error) {
	o := options{command: "run"}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		o.command, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.binary, "tenantry", "bin/tenantry", "the built program")
	flags.StringVar(&o.floor, "floor", "bin/floor", "the built floor")
	flags.StringVar(&o.cache, "cache", cacheFolder(), "folder that keeps the loaded data set between runs")
	only := flags.String("q", "", "queries to measure, such as Q1,Q3 (default all)")
	flags.DurationVar(&o.window, "window", 2*time.Second, "length of one window")
	flags.DurationVar(&o.settle, "settle", 250*time.Millisecond, "running before each window that is not counted")
	flags.IntVar(&o.pairs, "pairs", 7, "windows of each contestant for each query")
	flags.IntVar(&o.clients, "clients", 0, "concurrent connections (default: those with which the floor is most like the reference table)")
	flags.IntVar(&o.pool, "pool", 8, "connections to Postgres of each contestant")
	flags.IntVar(&o.ids, "ids", 512, "prepared requests for each query")
	flags.IntVar(&o.compare, "compare", 256, "bodies compared for each query")
	flags.BoolVar(&o.check, "check", false, "exit with 1 when a target is missed")
	flags.BoolVar(&o.force, "force", false, "measure although the floor is refused; its table is not kept")
	flags.StringVar(&o.document, "document", "", "page to keep the table of a whole run in, with a picture beside it")
	flags.StringVar(&o.profileDir, "profiles", filepath.Join(os.TempDir(), "tenantry-profiles"), "folder for profiles")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	o.scale, o.starts = 1, 5
	switch o.command {
	case "run":
	case "peers":
		o.clients = cmp.Or(o.clients, peerClients)
	case "profile":
		o.clients = cmp.Or(o.clients, fewClients)
	case "smoke":
		// Proves that everything still works; measures nothing worth quoting.
		o.window, o.settle, o.pairs, o.compare, o.scale, o.starts = 200*time.Millisecond, 50*time.Millisecond, 2, 40, 50, 1
		o.clients = cmp.Or(o.clients, fewClients)
	default:
		return o, fmt.Errorf("unknown command %q: expected run, smoke, peers or profile", o.command)
	}
	var err error
	if o.only, err = chooseQueries(*only); err != nil {
		return o, err
	}
	if o.clients < 0 {
		return o, errors.New("-clients must not be negative")
	}
	for _, bound := range []struct {
		name  string
		value int
	}{{"pairs", o.pairs}, {"pool", o.pool}, {"ids", o.ids}} {
		if bound.value < 1 {
			return o, fmt.Errorf("-%s must be at least 1", bound.name)
		}
	}
	return o, nil
}

// cacheFolder must let the user pass who runs Postgres, which root's home does
// not.
func cacheFolder() string {
	if dir, err := os.UserCacheDir(); err == nil && os.Geteuid() != 0 {
		return filepath.Join(dir, "tenantry-bench")
	}
	return "/var/tmp/tenantry-bench"
}
