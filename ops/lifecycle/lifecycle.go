// Package lifecycle starts and stops the parts of a program in order.
//
// The program that wires everything pushes the end of each part onto a Stack as
// it starts it. If step four fails, steps three to one are ended; when a signal
// comes, all of them, the last started first.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// overtime is what a part gets after the context of Close has ended, in which
// it should give up by itself, before it is left behind.
const overtime = 8 * time.Second

// Stack holds how the started parts are ended. The zero value is empty and
// ready; it may be used from several goroutines.
type Stack struct {
	mu     sync.Mutex
	parts  []part
	closed bool
}

type part struct {
	name  string
	close func(context.Context) error
}

// Push adds a part that has been started. close is called once, and should
// return soon after its context ends. On a stack that is closed already it is
// called at once, so that a part that started too late does not stay.
func (s *Stack) Push(name string, close func(context.Context) error) {
	s.mu.Lock()
	late := s.closed
	if !late {
		s.parts = append(s.parts, part{name, close})
	}
	s.mu.Unlock()
	if late {
		ctx, cancel := context.WithTimeout(context.Background(), overtime)
		defer cancel()
		_ = part{name, close}.end(ctx)
	}
}

// Close ends all parts, the last pushed first, each after the one above it. All
// are ended whatever fails; the errors are joined and name their part. Calling
// it again finds nothing to do.
func (s *Stack) Close(ctx context.Context) error {
	var errs []error
	for {
		s.mu.Lock()
		s.closed = true
		if len(s.parts) == 0 {
			s.mu.Unlock()
			return errors.Join(errs...)
		}
		top := s.parts[len(s.parts)-1]
		s.parts = s.parts[:len(s.parts)-1]
		s.mu.Unlock()
		if err := top.end(ctx); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", top.name, err))
		}
	}
}

// end calls the part's close, and leaves it behind when it ignores the end of
// its context: those below must have their turn.
func (p part) end(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if cause := recover(); cause != nil {
				done <- fmt.Errorf("panic: %v", cause)
			}
		}()
		done <- p.close(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	timer := time.NewTimer(overtime)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return errors.New("it does not end")
	}
}

// Run calls serve, which starts the parts, pushes their ends and stays until its
// context ends or a part fails. The context ends with ctx or at the first
// SIGINT or SIGTERM. Then the stack is closed within grace; a second signal
// ends the grace. The error is that of serve, without the mere end of its
// context, joined with those of the parts. It closes the stack on a panic too.
func Run(ctx context.Context, grace time.Duration, serve func(context.Context, *Stack) error) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hurry, cancelHurry := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelHurry()

	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	over := make(chan struct{})
	defer close(over)
	go func() {
		for _, react := range []func(){cancel, cancelHurry} {
			select {
			case <-signals:
				react()
			case <-over:
				return
			}
		}
	}()

	var stack Stack
	defer func() {
		closing, cancel := context.WithTimeout(hurry, grace)
		defer cancel()
		err = errors.Join(err, stack.Close(closing))
	}()
	err = serve(ctx, &stack)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}
