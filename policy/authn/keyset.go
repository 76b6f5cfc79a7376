package authn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

const (
	keySetTimeout = 5 * time.Second
	keySetBytes   = 1 << 20
	keySetRetry   = 10 * time.Second // between fetches, whatever asks for them
	keySetUsual   = 10 * time.Minute // between refreshes when the answer says nothing
	keySetEager   = time.Minute      // when the answer says no-cache and no time
	keySetStale   = 24 * time.Hour   // keys are kept so long while fetches fail
)

var errNoKeys = errors.New("no keys could be fetched")

// keySet holds the keys behind a jwk_url. It fetches when the first token comes,
// again before the time that the answer's cache headers name has passed (in
// the background, while the old keys serve), and at once for a key id that it does not know, though
// never more often than every ten seconds.
type keySet struct {
	url    string
	client *http.Client
	log    *slog.Logger
	now    func() time.Time
	ctx    context.Context // ends with the authenticator

	mu       sync.Mutex
	current  *fetchedKeys  // nil until a fetch succeeds
	earliest time.Time     // of the next fetch
	running  chan struct{} // closed when the running fetch ends; nil when none runs
	timer    *time.Timer   // of the next refresh; nil before the first fetch
}

// fetchedKeys is one answer of the address.
type fetchedKeys struct {
	set keyfunc.Keyfunc
	ids map[string]bool
	at  time.Time
	due time.Time
}

func newKeySet(ctx context.Context, url string, client *http.Client, logger *slog.Logger, now func() time.Time) *keySet {
	s := &keySet{url: url, client: client, log: logger, now: now, ctx: ctx}
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.timer != nil {
			s.timer.Stop()
		}
	})
	return s
}

// refreshAhead is the share of the keys' lifetime after which they are fetched
// again, so that no request meets old ones, however long none came.
const refreshAhead = 0.8

// schedule plans the next refresh. The caller holds the lock.
func (s *keySet) schedule(after time.Duration) {
	if s.ctx.Err() != nil {
		return
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	s.timer = time.AfterFunc(after, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.running == nil && s.ctx.Err() == nil {
			s.start()
		}
	})
}

// start begins a fetch. The caller holds the lock and knows that none runs.
func (s *keySet) start() {
	s.earliest = s.now().Add(keySetRetry)
	s.running = make(chan struct{})
	go s.refresh(s.running)
}

// find returns the key, or keys, that may have signed a token.
func (s *keySet) find(ctx context.Context, token *jwt.Token) (any, error) {
	id, named := token.Header["kid"].(string)
	keys, fetch := s.look(id, named)
	if fetch != nil {
		select {
		case <-fetch:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		s.mu.Lock()
		keys = s.current
		s.mu.Unlock()
	}
	if keys == nil {
		return nil, errNoKeys
	}
	return keys.set.KeyfuncCtx(ctx)(token)
}

// look returns the keys of now, and a fetch to wait for when they cannot serve.
func (s *keySet) look(id string, named bool) (*fetchedKeys, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.current != nil && now.Sub(s.current.at) > keySetStale {
		s.current = nil
	}
	missing := s.current == nil || named && !s.current.ids[id]
	if (missing || now.After(s.current.due)) && s.running == nil && !now.Before(s.earliest) && s.ctx.Err() == nil {
		s.start()
	}
	if missing && s.running != nil {
		return s.current, s.running
	}
	return s.current, nil
}

func (s *keySet) refresh(done chan struct{}) {
	keys, err := s.fetch()
	if err != nil && s.ctx.Err() == nil {
		s.log.Warn("fetching a key set failed", "url", s.url, "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := keySetEager // after a failure
	if err == nil {
		s.current = keys
		next = time.Duration(refreshAhead * float64(keys.due.Sub(keys.at)))
	}
	s.schedule(next)
	s.running = nil
	close(done)
}

func (s *keySet) fetch() (*fetchedKeys, error) {
	ctx, cancel := context.WithTimeout(s.ctx, keySetTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("expected status 200, got %d", answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, keySetBytes+1))
	if err != nil {
		return nil, err
	}
	if len(body) > keySetBytes {
		return nil, errors.New("the key set is larger than 1 MiB")
	}
	keys, err := parseKeySet(body)
	if err != nil {
		return nil, err
	}
	keys.at = s.now()
	keys.due = keys.at.Add(lifetime(answer.Header, keys.at))
	return keys, nil
}

// parseKeySet keeps the keys that can verify. One that cannot be read, or is
// for something else, does not spoil the others.
func parseKeySet(body []byte) (*fetchedKeys, error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("expected a JSON Web Key Set: %w", err)
	}
	keys := &fetchedKeys{ids: map[string]bool{}}
	var usable []json.RawMessage
	for _, raw := range doc.Keys {
		var key struct {
			Type string `json:"kty"`
			Use  string `json:"use"`
			ID   string `json:"kid"`
		}
		if json.Unmarshal(raw, &key) != nil || key.Type == "oct" || key.Use == "enc" {
			continue
		}
		if _, err := wholeSet([]json.RawMessage{raw}); err != nil {
			continue
		}
		usable = append(usable, raw)
		keys.ids[key.ID] = true
	}
	if len(usable) == 0 {
		return nil, errors.New("the key set has no key that can verify tokens")
	}
	var err error
	keys.set, err = wholeSet(usable)
	return keys, err
}

func wholeSet(keys []json.RawMessage) (keyfunc.Keyfunc, error) {
	doc, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		return nil, err
	}
	return keyfunc.NewJWKSetJSON(doc)
}

// lifetime reads how long an answer may be kept.
func lifetime(h http.Header, now time.Time) time.Duration {
	eager, seconds := false, -1
	for directive := range strings.SplitSeq(strings.ToLower(h.Get("Cache-Control")), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name {
		case "no-cache", "no-store", "must-revalidate":
			eager = true
		case "max-age", "s-maxage":
			if n, err := strconv.Atoi(strings.Trim(value, `"`)); err == nil && n >= 0 && n > seconds {
				seconds = n
			}
		}
	}
	switch {
	case seconds >= 0:
		return clamp(time.Duration(min(seconds, 1<<30)) * time.Second)
	case eager:
		return keySetEager
	}
	if at, err := http.ParseTime(h.Get("Expires")); err == nil {
		return clamp(at.Sub(now))
	}
	return keySetUsual
}

func clamp(d time.Duration) time.Duration { return min(max(d, keySetRetry), keySetStale) }
