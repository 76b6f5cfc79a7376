package limits

import "time"

// SetClock puts a clock in the place of the store's.
func (s *Shared) SetClock(now func() time.Time) { s.clock = now }
