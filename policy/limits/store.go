package limits

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"tenantry/tenants/vault"
)

const (
	// sharedTime is what a request waits for the store at most.
	sharedTime = 250 * time.Millisecond
	// sharedRetry is how long nobody asks a store that failed.
	sharedRetry = time.Second
	// sharedComplaint is how often the log says that the store is out of reach.
	sharedComplaint = time.Minute
)

//go:embed take.lua
var takeText string

var takeScript = redis.NewScript(takeText)

// Shared is a Redis or Valkey in which several nodes count together: one round
// trip per request that is limited. A request never fails because of it: while
// it is out of reach, each node counts alone, and asks again once a second. A nil
// *Shared is out of reach always. Safe for concurrent use.
type Shared struct {
	client *redis.Client
	logger *slog.Logger
	// clock stands for the server's clock when it is set.
	clock func() time.Time

	retryAt    atomic.Int64 // unix nanoseconds; 0 while the store answers
	complained atomic.Int64 // unix nanoseconds
	fallbacks  atomic.Uint64
	nodes      nodes
}

// SharedStats are the numbers of a Shared.
type SharedStats struct {
	// Fallbacks are the requests that this node counted alone.
	Fallbacks uint64
	Up        bool // the store answered when it was asked last
	// Nodes are those that share the store, as far as it was heard; 0 until then.
	Nodes int
}

// OpenShared makes a Shared of the URL of a server: redis:// or rediss://,
// valkey:// or valkeys://, or unix://. It does not wait for the server. The error
// never repeats the URL, which may hold a password.
func OpenShared(address vault.Secret, logger *slog.Logger) (*Shared, error) {
	options, err := sharedOptions(address.Reveal())
	if err != nil {
		return nil, err
	}
	// The library writes to the standard error by itself; what it has to say comes
	// as errors too.
	logging.Disable()
	s := &Shared{client: redis.NewClient(options), logger: logger}
	s.nodes.watch(s.client)
	return s, nil
}

// CheckAddress reports what is wrong with the URL of a store; the error completes
// "expected …" and does not repeat the URL.
func CheckAddress(address string) error {
	_, err := sharedOptions(address)
	return err
}

func sharedOptions(address string) (*redis.Options, error) {
	if rest, ok := strings.CutPrefix(address, "valkey"); ok {
		address = "redis" + rest // the same protocol
	}
	options, err := redis.ParseURL(address)
	if err != nil {
		return nil, errors.New("expected a URL such as redis://:password@host:6379/0, or rediss:// for TLS")
	}
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout, options.PoolTimeout = sharedTime, sharedTime, sharedTime, sharedTime
	options.MaxRetries, options.DialerRetries = -1, 1 // a node that counts alone is better than a request that waits
	options.ContextTimeoutEnabled = true
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return options, nil
}

// Close ends the connections.
func (s *Shared) Close() error {
	if s == nil {
		return nil
	}
	s.nodes.stop()
	<-s.nodes.done
	return s.client.Close()
}

// Stats are the numbers so far.
func (s *Shared) Stats() SharedStats {
	if s == nil {
		return SharedStats{}
	}
	return SharedStats{Fallbacks: s.fallbacks.Load(), Up: s.retryAt.Load() == 0, Nodes: int(s.nodes.known.Load())}
}

// take counts one request of a key within a name of its own; false says that
// the store could not be asked.
func (s *Shared) take(ctx context.Context, name string, key []byte, b bound) (verdict, bool) {
	if s == nil {
		return verdict{}, false
	}
	if b.limit == 0 {
		return verdict{refused: true, reset: b.period}, true
	}
	if !s.mayAsk() {
		s.fallbacks.Add(1)
		return verdict{}, false
	}
	limited, cancel := context.WithTimeout(ctx, sharedTime)
	defer cancel()
	answer, err := takeScript.Run(limited, s.client, []string{storedKey(name, key, b)}, s.arguments(b)...).Int64Slice()
	if err == nil && len(answer) != 4 {
		err = errors.New("an answer that is not the script's")
	}
	if err != nil && ctx.Err() != nil {
		s.fallbacks.Add(1)
		return verdict{}, false // whoever asked has left: that is no failure of the store
	}
	if err != nil {
		s.failed(err)
		return verdict{}, false
	}
	if s.retryAt.Load() != 0 && s.retryAt.Swap(0) != 0 {
		s.logger.Info("rate limits are shared again", "type", "limits-log")
	}
	return verdict{
		refused: answer[0] == 1, used: int(answer[1]), remaining: int(answer[2]), reset: time.Duration(answer[3]) * time.Microsecond,
	}, true
}

func (s *Shared) arguments(b bound) []any {
	now := int64(0)
	if s.clock != nil {
		now = s.clock().UnixMicro()
	}
	done := 0
	if b.done {
		done = 1
	}
	out := []any{now, b.limit, b.n(), done}
	if b.bucket {
		out = append(out, b.interval().Microseconds(), b.burst)
	}
	return out
}

// storedKey is a key in the store: as long whatever clients send, and readable
// by none who look into it. A window and a bucket are kept differently.
func storedKey(name string, key []byte, b bound) string {
	sum := sha256.Sum256(key)
	kind := ":window:"
	if b.bucket {
		kind = ":bucket:"
	}
	return "tenantry:" + name + kind + hex.EncodeToString(sum[:16])
}

// mayAsk lets everybody ask a store that answers, and one request per second a
// store that did not.
func (s *Shared) mayAsk() bool {
	at := s.retryAt.Load()
	if at == 0 {
		return true
	}
	now := time.Now()
	return now.UnixNano() >= at && s.retryAt.CompareAndSwap(at, now.Add(sharedRetry).UnixNano())
}

func (s *Shared) failed(err error) {
	s.fallbacks.Add(1)
	now := time.Now()
	s.retryAt.Store(now.Add(sharedRetry).UnixNano())
	last := s.complained.Load()
	if now.UnixNano()-last >= int64(sharedComplaint) && s.complained.CompareAndSwap(last, now.UnixNano()) {
		s.logger.Warn("the store of rate limits is out of reach: this node counts alone", "type", "limits-log", "error", err)
	}
}
