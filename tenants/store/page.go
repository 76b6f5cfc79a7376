package store

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Page asks for a part of a list.
type Page struct {
	Limit  int    // items at most; 50 when 0, 200 at most
	Cursor string // where the part before ended; empty for the first
}

const (
	defaultLimit = 50
	maxLimit     = 200
)

func (p Page) limit() int {
	if p.Limit <= 0 {
		return defaultLimit
	}
	return min(p.Limit, maxLimit)
}

// cursor joins the sort key of a part's last item into an opaque text.
func cursor(parts ...string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join(parts, "|")))
}

// parts splits a cursor into its n parts; nil for the first page.
func (p Page) parts(n int) ([]string, error) {
	if p.Cursor == "" {
		return nil, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	parts := strings.Split(string(text), "|")
	if err != nil || len(parts) != n {
		return nil, ErrBadCursor
	}
	return parts, nil
}

// afterID is the id that a list in order of ids continues after.
func (p Page) afterID() (string, error) {
	parts, err := p.parts(1)
	if parts == nil || err != nil {
		return uuid.Nil.String(), err
	}
	if !isID(parts[0]) {
		return "", ErrBadCursor
	}
	return parts[0], nil
}

// beforeSeq is the number that a list of falling numbers continues below.
func (p Page) beforeSeq() (int64, error) {
	parts, err := p.parts(1)
	if parts == nil || err != nil {
		return 1<<63 - 1, err
	}
	seq, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return 0, ErrBadCursor
	}
	return seq, nil
}

// part cuts what was read with limit+1 to the limit; next is empty at the end of
// the list.
func part[T any](items []T, limit int, key func(T) []string) (page []T, next string) {
	if len(items) <= limit {
		return items, ""
	}
	return items[:limit], cursor(key(items[limit-1])...)
}

// isID reports whether text is an id in the form that we write them. Only such
// texts reach uuid parameters.
func isID(text string) bool {
	id, err := uuid.Parse(text)
	return err == nil && id.String() == text
}
