// Budget runs the Go benchmarks of the packages given and compares what they
// allocate with a baseline, a file of Go's own benchmark lines: it fails when
// something allocates over 10 % more. Times are shown but not judged, because they
// are another machine's, or this machine's at another moment.
//
//	go run ./ops/bench/budget -baseline ops/bench/baseline.txt ./services/engine/instance
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// benchstat shows both files side by side; its version is fixed so that it
// prints the same everywhere.
const benchstat = "golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da"

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "budget:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("budget", flag.ContinueOnError)
	baseline := flags.String("baseline", "ops/bench/baseline.txt", "the committed measurements")
	update := flags.Bool("update", false, "write the baseline instead of comparing with it")
	show := flags.Bool("benchstat", true, "show benchstat's comparison, if it can be had")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("expected packages with benchmarks")
	}
	measured, err := measure(flags.Args(), stderr)
	if err != nil {
		return err
	}
	now, err := parse(measured)
	if err != nil {
		return err
	}
	if *update {
		return os.WriteFile(*baseline, measured, 0o644)
	}
	before, err := os.ReadFile(*baseline)
	if err != nil {
		return fmt.Errorf("%w; make bench-baseline writes it", err)
	}
	was, err := parse(before)
	if err != nil {
		return fmt.Errorf("%s: %w", *baseline, err)
	}
	if *show {
		compare(*baseline, measured, stdout, stderr)
	}
	problems := judge(was, now)
	for _, problem := range problems {
		fmt.Fprintln(stdout, problem)
	}
	if len(problems) > 0 {
		return errors.New("the budget is exceeded, or the baseline is not of these benchmarks; make bench-baseline, after a look at why")
	}
	fmt.Fprintf(stdout, "%d benchmarks allocate no more than 10 %% above the baseline\n", len(now))
	return nil
}

// measure runs the benchmarks. What they allocate hardly depends on how often
// they run, so they run a fixed number of times.
func measure(packages []string, stderr io.Writer) ([]byte, error) {
	c := exec.Command("go", append([]string{"test", "-run", "^$", "-bench", ".", "-benchmem", "-benchtime", "500x", "-count", "6"}, packages...)...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, stderr
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("go test -bench: %w\n%s", err, out.Bytes())
	}
	return out.Bytes(), nil
}

// compare shows benchstat's table. It is fetched as a module, so without a network
// it may be missing; the judgement does not need it.
func compare(baseline string, measured []byte, stdout, stderr io.Writer) {
	file, err := os.CreateTemp("", "bench-*.txt")
	if err != nil {
		fmt.Fprintln(stderr, "budget: no comparison:", err)
		return
	}
	defer os.Remove(file.Name())
	_, err = file.Write(measured)
	if err = errors.Join(err, file.Close()); err == nil {
		c := exec.Command("go", "run", benchstat, baseline, file.Name())
		c.Stdout, c.Stderr = stdout, stderr
		err = c.Run()
	}
	if err != nil {
		fmt.Fprintln(stderr, "budget: no comparison by benchstat:", err)
	}
}
