package lifecycle

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestCloseEndsAllPartsInReverseWhateverFails(t *testing.T) {
	t.Parallel()
	var stack Stack
	var order []string
	broken := errors.New("broken")
	push := func(name string, err error) {
		stack.Push(name, func(context.Context) error { order = append(order, name); return err })
	}
	push("one", nil)
	push("two", broken)
	stack.Push("three", func(context.Context) error { panic("oh") })
	push("four", nil)
	err := stack.Close(t.Context())
	if !slices.Equal(order, []string{"four", "two", "one"}) {
		t.Errorf("the order was %v", order)
	}
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "close two: broken") || !strings.Contains(err.Error(), "close three: panic: oh") {
		t.Errorf("the error is %v", err)
	}
	if err := stack.Close(t.Context()); err != nil || len(order) != 3 {
		t.Errorf("the second Close: %v, %v", err, order)
	}
	push("late", nil)
	if order[len(order)-1] != "late" {
		t.Error("a part that was pushed after Close stays")
	}
}

func TestRunClosesWhatWasStartedWhenALaterStepFails(t *testing.T) {
	t.Parallel()
	failed := errors.New("step two")
	var closed bool
	err := Run(t.Context(), time.Second, func(_ context.Context, stack *Stack) error {
		stack.Push("one", func(context.Context) error { closed = true; return nil })
		return failed
	})
	if !errors.Is(err, failed) || !closed {
		t.Errorf("error %v, closed %v", err, closed)
	}
}

func TestRunClosesOnAPanic(t *testing.T) {
	t.Parallel()
	var closed bool
	defer func() {
		if recover() == nil || !closed {
			t.Errorf("closed %v", closed)
		}
	}()
	_ = Run(t.Context(), time.Second, func(_ context.Context, stack *Stack) error {
		stack.Push("one", func(context.Context) error { closed = true; return nil })
		panic("oh")
	})
}

// Not parallel: signals reach the whole process.
func TestASignalEndsRunAndASecondOneItsGrace(t *testing.T) {
	err := Run(t.Context(), time.Minute, func(ctx context.Context, stack *Stack) error {
		stack.Push("slow", func(closing context.Context) error {
			_ = syscall.Kill(syscall.Getpid(), syscall.SIGTERM)
			select {
			case <-closing.Done():
				return nil
			case <-time.After(10 * time.Second):
				return errors.New("the second signal did nothing")
			}
		})
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGINT)
		<-ctx.Done()
		return ctx.Err()
	})
	if err != nil {
		t.Error(err)
	}
}
