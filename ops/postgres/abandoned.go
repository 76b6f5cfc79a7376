package postgres

import (
	"context"
	"os"
	"time"
)

// RemoveAbandoned removes a data folder whose program is gone, and stops what
// still runs there. It gives ErrInUse, and touches nothing, while a program
// holds the folder. For folders of tests: the data is lost.
func RemoveAbandoned(dir string) error {
	lock, err := takeLock(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	f := &folder{root: dir, lock: lock}
	pgdata := f.pgdata()
	if left := readPidFile(pgdata); left != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if isPostmaster(left.pid, pgdata) {
			if err := watchForeign(left.pid, pgdata).stop(ctx); err != nil {
				return err
			}
		}
		if err := endOrphans(ctx, pgdata); err != nil {
			return err
		}
	}
	f.forgetSocket()
	return os.RemoveAll(dir)
}
