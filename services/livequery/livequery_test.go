package livequery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tenantry/services/livequery"
)

func TestWhatIsTheSameIsNotPushed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := livequery.NewHub(livequery.Limits{})
		answers := []string{"a", "b", "b", "a", "a", "c"}
		var pushed []string
		reads := 0
		err := h.Follow(t.Context(), livequery.Query{
			Read: func(context.Context) (livequery.Answer, error) {
				reads++
				return livequery.Answer{Body: []byte(answers[reads-1]), Last: reads == len(answers)}, nil
			},
			Send: func(body []byte) { pushed = append(pushed, string(body)) },
		}, livequery.Answer{Body: []byte("a")})
		if err != nil || !slices.Equal(pushed, []string{"b", "a", "c"}) {
			t.Errorf("pushed %v, %v", pushed, err)
		}
	})
}

func TestAnAnswerThatLastsIsReadWhenItIsWokenOrOutdated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := livequery.NewHub(livequery.Limits{})
		ctx, stop := context.WithCancel(t.Context())
		var wake func()
		var reads, watching atomic.Int32
		var outdated atomic.Bool
		followed := make(chan error, 1)
		go func() {
			followed <- h.Follow(ctx, livequery.Query{
				Read: func(context.Context) (livequery.Answer, error) {
					reads.Add(1)
					return livequery.Answer{Lasts: true}, nil
				},
				Outdated: func(context.Context) bool { return outdated.Load() },
				Watch:    func(w func()) func() { wake = w; watching.Add(1); return func() { watching.Add(-1) } },
			}, livequery.Answer{Lasts: true})
		}()
		expect := func(what string, want int32) {
			t.Helper()
			synctest.Wait()
			if got := reads.Load(); got != want {
				t.Errorf("%s: %d reads, want %d", what, got, want)
			}
		}
		time.Sleep(time.Hour)
		expect("nothing happened", 0)
		wake()
		expect("it was woken", 1)
		time.Sleep(time.Hour)
		expect("nothing happened since", 1)
		outdated.Store(true)
		time.Sleep(1100 * time.Millisecond)
		expect("it is outdated", 2)
		stop()
		synctest.Wait()
		if err := <-followed; err != nil || watching.Load() != 0 {
			t.Errorf("ended with %v, %d watch", err, watching.Load())
		}
	})
}

func TestTheReadingsAndSubscriptionsOfAProjectAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := livequery.NewHub(livequery.Limits{PerProject: 20, Readings: 4})
		ctx, stop := context.WithCancel(t.Context())
		var running, most, others atomic.Int32
		follow := func(project string, read func()) error {
			return h.Follow(ctx, livequery.Query{Project: project, Read: func(context.Context) (livequery.Answer, error) { read(); return livequery.Answer{}, nil }}, livequery.Answer{})
		}
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				_ = follow("crowd", func() {
					most.Store(max(most.Load(), running.Add(1)))
					time.Sleep(5 * time.Second)
					running.Add(-1)
				})
			})
		}
		group.Go(func() { _ = follow("other", func() { others.Add(1) }) })
		time.Sleep(100*time.Second + time.Millisecond)
		if most.Load() != 4 || others.Load() != 100 {
			t.Errorf("%d of the crowd were read at a time, the other one %d times in 100 seconds", most.Load(), others.Load())
		}
		if err := follow("crowd", nil); err == nil || err.Error() != "the project has 20 subscriptions on this node, at most 20 are allowed" {
			t.Errorf("one too many: %v", err)
		}
		stop()
		group.Wait()
		ctx, stop = context.WithCancel(t.Context())
		stop()
		if err := follow("crowd", nil); err != nil {
			t.Errorf("when all are gone: %v", err)
		}
	})
}

func TestAnErrorOfReadingEndsASubscription(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone")
		err := livequery.NewHub(livequery.Limits{}).Follow(t.Context(), livequery.Query{
			Read: func(context.Context) (livequery.Answer, error) { return livequery.Answer{}, gone },
			Send: func(body []byte) { t.Errorf("pushed %s", fmt.Sprint(body)) },
		}, livequery.Answer{})
		if !errors.Is(err, gone) {
			t.Errorf("ended with %v", err)
		}
	})
}
