package model

import "time"

// The fields of a run of an asynchronous action; RunID is also the argument by
// which it is found.
const (
	RunID        = "id"
	RunCreatedAt = "created_at"
	RunErrors    = "errors"
	RunOutput    = "output"
)

// DefaultMaxAge is how long a run may wait where its action does not say.
const DefaultMaxAge = 24 * time.Hour

// MaxAge is how long a run of an asynchronous action may wait for its result.
func (a *Action) MaxAge() time.Duration {
	if s := a.Metadata.Definition.MaxAgeSeconds; s > 0 {
		return time.Duration(s) * time.Second
	}
	return DefaultMaxAge
}
