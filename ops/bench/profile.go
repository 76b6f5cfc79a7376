package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// profiles keeps Tenantry busy with each query, and takes a CPU and an allocation
// profile from its operator listener meanwhile.
func (b *bench) profiles(ctx context.Context) error {
	if err := os.MkdirAll(b.profileDir, 0o755); err != nil {
		return err
	}
	for _, q := range b.only {
		if err := b.profile(ctx, q); err != nil {
			return fmt.Errorf("profile of %s: %w", q.name, err)
		}
	}
	return nil
}

func (b *bench) profile(ctx context.Context, q query) error {
	length := max(time.Duration(b.pairs)*b.window, 5*time.Second)
	seconds := int(length.Seconds())
	_, ours := b.pair(q)
	cpu, allocs := filepath.Join(b.profileDir, q.name+".cpu.pprof"), filepath.Join(b.profileDir, q.name+".allocs.pprof")
	failed := make(chan error, 2)
	fetch := func(to, path string) {
		failed <- download(ctx, fmt.Sprintf("http://%s/debug/pprof/%s?seconds=%d", b.ours.operator, path, seconds), to)
	}
	go fetch(cpu, "profile")
	go fetch(allocs, "allocs")
	w, err := watch(ours, b.database, b.options, length+time.Second)
	if err := errors.Join(err, <-failed, <-failed); err != nil {
		return err
	}
	fmt.Printf("%s: %.0f req/s, CPU server %.0f µs, CPU Postgres %.0f µs\n", q.name, w.perSecond, w.server, w.postgres)
	for _, shown := range [][]string{
		{"-nodecount=45", cpu}, {"-cum", "-nodecount=70", cpu},
		{"-nodecount=35", "-sample_index=alloc_space", allocs}, {"-nodecount=35", "-sample_index=alloc_objects", allocs},
	} {
		if err := top(shown...); err != nil {
			return err
		}
	}
	fmt.Printf("\nkept: %s %s\n", cpu, allocs)
	return nil
}

func download(ctx context.Context, url, to string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, response.Status)
	}
	file, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, response.Body)
	return errors.Join(err, file.Close())
}

// top prints what costs most.
func top(args ...string) error {
	fmt.Printf("\n%s\n", strings.Join(args, " "))
	c := exec.Command("go", append([]string{"tool", "pprof", "-top"}, args...)...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	return c.Run()
}
