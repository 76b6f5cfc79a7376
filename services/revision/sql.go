package revision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"tenantry/api/errcode"
	"tenantry/services/engine/introspect"
	"tenantry/services/engine/source"
	"tenantry/tenants/metadata"
)

// SQL is a script of the project's developers.
type SQL struct {
	Source string
	Text   string
	// Cascade drops the metadata that depends on what the script drops.
	Cascade  bool
	ReadOnly bool
	// Plain runs the statements outside of a transaction.
	Plain bool
	// Unchecked leaves the metadata as it is, whatever the script does.
	Unchecked bool
}

// RunSQL runs a script on a source and makes the metadata follow what it did to
// the tables. What others depend on can't go without cascade: the script is
// rolled back then. The result is that of the last statement: names, then rows as
// text; nil if it yields none.
func (w *Work) RunSQL(ctx context.Context, sql SQL) (rows [][]string, err error) {
	opened, err := w.Open(sql.Source)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	script := source.Script{SQL: sql.Text, ReadOnly: sql.ReadOnly, Plain: sql.Plain}
	if sql.ReadOnly {
		return opened.Script(ctx, script)
	}
	err = w.Attempt(func() (err error) {
		w.ran = true
		w.follow(&script, sql)
		rows, err = opened.Script(ctx, script)
		return err
	})
	sum := sha256.Sum256([]byte(sql.Text))
	w.detail = map[string]any{"sql_sha256": hex.EncodeToString(sum[:]), "source": sql.Source}
	return rows, err
}

// follow lets the work follow the script before it commits.
func (w *Work) follow(script *source.Script, sql SQL) {
	var before *introspect.Identities
	if !sql.Unchecked {
		script.Before = func(ctx context.Context, db *source.Session) (err error) {
			before, err = introspect.Identify(ctx, db)
			return err
		}
	}
	script.After = func(ctx context.Context, db *source.Session) error {
		if sql.Unchecked {
			return w.readOn(ctx, db, sql.Source)
		}
		after, err := introspect.Identify(ctx, db)
		if err != nil {
			return err
		}
		return w.adapt(ctx, db, sql, before, after)
	}
}

// adapt changes the metadata as the tables have changed, and judges what is left
// by the new catalog, which is read in the script's transaction.
func (w *Work) adapt(ctx context.Context, db *source.Session, sql SQL, was, is *introspect.Identities) error {
	before := w.stage
	before.resolved = w.resolve() // what did not resolve before does not count
	args := metadata.FollowArgs{Source: sql.Source, Cascade: sql.Cascade}
	for _, src := range w.document.Sources {
		if src.Name == sql.Source {
			args.Tables, args.Functions = changes(&src, was, is)
		}
	}
	// Once the statements have committed by themselves, nothing can be refused.
	args.Cascade = args.Cascade || db.Committed()
	edited, err := metadata.Follow(w.document, args, w.Model().TargetOf)
	if err != nil {
		return err
	}
	w.document, w.resolved = edited, nil
	if err := w.readOn(ctx, db, sql.Source); err != nil {
		return err
	}
	if db.Committed() {
		return nil
	}
	if added := w.added(before, false); len(added) > 0 {
		return &Inconsistent{Objects: added}
	}
	return nil
}

// readOn reads the catalog of a source on a connection, in its transaction.
func (w *Work) readOn(ctx context.Context, db introspect.Querier, name string) error {
	for _, src := range w.document.Sources {
		if src.Name != name {
			continue
		}
		fresh, err := introspect.Read(ctx, db)
		if err != nil {
			return errcode.New(errcode.ConnectionFailed, "the catalog of source %q can't be read", src.Name).Because(err)
		}
		// Rows of enum tables count when the tables change or the tenant reloads,
		// as clients' schemas do; a script may well insert rows one by one.
		if known := w.catalogs[name]; known != nil && known.WithValues(fresh).Fingerprint() == known.Fingerprint() {
			return nil
		}
		if err := readEnums(ctx, db, fresh, src); err != nil {
			return err
		}
		w.put(name, fresh)
	}
	return nil
}
