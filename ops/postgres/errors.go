package postgres

import (
	"errors"
	"fmt"
)

// Errors that a person can act on. Each is matched with errors.Is; the text of
// what Start returns is one sentence that can be shown as it is.
var (
	// ErrNotFound: no Postgres on this machine and none could be fetched.
	ErrNotFound = errors.New("no Postgres found and none could be fetched")
	// ErrInUse: another process holds the data folder.
	ErrInUse = errors.New("the data folder is in use by another tenantry")
	// ErrVersion: the data folder was made by another major version; see VersionError.
	ErrVersion = errors.New("the data folder belongs to another version of Postgres")
	// ErrFolder: a folder cannot be created, read or reached; see FolderError.
	ErrFolder = errors.New("the folder cannot be used")
	// ErrStart: Postgres was found but did not start.
	ErrStart = errors.New("Postgres did not start")
)

// VersionError says that a data folder needs a Postgres that is not there.
type VersionError struct {
	Folder string // the data folder as Postgres knows it
	Data   string // major version that made the folder, as in PG_VERSION
	Found  string // major version (or versions) that this machine has
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("the data folder %s was made by Postgres %s, but this machine has Postgres %s: install version %s or choose another data folder",
		e.Folder, e.Data, e.Found, e.Data)
}

// Is makes every VersionError an ErrVersion.
func (e *VersionError) Is(target error) bool { return target == ErrVersion }

// FolderError names a folder that stands in the way, and why.
type FolderError struct {
	Folder string
	Reason string // completes "the folder X …"
	Err    error  // cause, may be nil
}

func (e *FolderError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("the folder %s %s: %v", e.Folder, e.Reason, e.Err)
	}
	return fmt.Sprintf("the folder %s %s", e.Folder, e.Reason)
}

// Is makes every FolderError an ErrFolder.
func (e *FolderError) Is(target error) bool { return target == ErrFolder }

func (e *FolderError) Unwrap() error { return e.Err }
