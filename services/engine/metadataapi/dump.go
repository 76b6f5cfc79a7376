package metadataapi

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"

	"tenantry/api/errcode"
	"tenantry/ops/postgres"
	"tenantry/tenants"
	"tenantry/tenants/metadata"
)

// dumpArgs are the body of a dump's request.
type dumpArgs struct {
	Opts   []string `json:"opts"`
	Clean  bool     `json:"clean_output,omitempty"`
	Source string   `json:"source,omitempty"`
}

// Dump writes a source's schema or data as SQL, as pg_dump does.
func (a *API) Dump(ctx context.Context, project tenants.Project, body []byte) ([]byte, error) {
	var args dumpArgs
	if err := metadata.DecodeInto(body, &args); err != nil {
		return nil, err
	}
	if err := checkOptions(args.Opts); err != nil {
		return nil, err
	}
	if args.Source == "" {
		args.Source = metadata.DefaultSource
	}
	work, err := a.Revisions.View(ctx, project.ID)
	if err != nil {
		return nil, err
	}
	opened, err := work.Open(args.Source)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	text, err := postgres.Dump(ctx, postgres.DumpTarget(opened.Target()), args.Opts)
	var said *postgres.DumpError
	switch {
	case errors.As(err, &said):
		return nil, errcode.New(errcode.Unexpected, "error while executing pg_dump").At("$").WithInternal(said.Message).WithStatus(500)
	case errors.Is(err, postgres.ErrNoDump):
		return nil, errcode.New(errcode.NotSupported, "%s", err.Error()).At("$")
	case err != nil:
		return nil, err
	}
	if args.Clean {
		text = cleanDump(text)
	}
	return text, nil
}

// dumpFlags are the options of pg_dump that may be given, and dumpValues those
// that take a value. Others name files, hosts and users.
var (
	dumpFlags = strings.Fields(`-a --data-only -b --large-objects --blobs -B --no-large-objects --no-blobs -c --clean -C --create
		-O --no-owner -s --schema-only -x --no-privileges --no-acl --column-inserts --attribute-inserts --disable-dollar-quoting --disable-triggers
		--enable-row-security --if-exists --inserts --load-via-partition-root --no-comments --no-publications --no-security-labels
		--no-subscriptions --no-table-access-method --no-tablespaces --no-toast-compression --no-unlogged-table-data --on-conflict-do-nothing
		--quote-all-identifiers --strict-names`)
	dumpValues = strings.Fields(`-n --schema -N --exclude-schema -t --table -T --exclude-table --exclude-table-data --section --rows-per-insert
		-e --extension --extra-float-digits -E --encoding`)
)

func checkOptions(opts []string) error {
	refuse := func(option string) error {
		return errcode.New(errcode.BadRequest, "the option %q of pg_dump is not allowed", option).At("$.opts")
	}
	for i := 0; i < len(opts); i++ {
		option, _, joined := strings.Cut(opts[i], "=")
		switch {
		case strings.Contains(opts[i], "\x00"):
			return refuse(opts[i])
		case slices.Contains(dumpFlags, opts[i]):
		case slices.Contains(dumpValues, option) && joined && strings.HasPrefix(option, "--"):
		case slices.Contains(dumpValues, opts[i]):
			if i++; i == len(opts) || strings.HasPrefix(opts[i], "-") || strings.Contains(opts[i], "\x00") {
				return errcode.New(errcode.BadRequest, "the option %q of pg_dump takes a value", option).At("$.opts")
			}
		default:
			return refuse(opts[i])
		}
	}
	return nil
}

// noise are the lines that say nothing of the schema: settings of the session,
// the schema that every database has, triggers that the engine made.
var noise = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(SET (statement_timeout|lock_timeout|idle_in_transaction_session_timeout|transaction_timeout|client_encoding|` +
		`standard_conforming_strings|xmloption|client_min_messages|row_security|default_tablespace|default_with_oids|default_table_access_method) = .*;|` +
		`SELECT pg_catalog\.set_config\('search_path', '', false\);|CREATE SCHEMA public;|COMMENT ON SCHEMA public IS '.*';|` +
		`\\(un)?restrict .*|` +
		`CREATE TRIGGER "?notify_hasura_.+"? AFTER \w+ ON .+ FOR EACH ROW EXECUTE (FUNCTION|PROCEDURE) "?hdb_catalog"?."?notify_hasura_.+"?\(\);|--.*|)$`)
})

// cleanDump leaves out what migrations need not hold. The rows of COPY stay as
// they are.
func cleanDump(text []byte) []byte {
	var out bytes.Buffer
	copying := false
	for line := range bytes.Lines(text) {
		bare := bytes.TrimRight(line, "\r\n")
		switch {
		case copying:
			copying = string(bare) != `\.`
		case noise().Match(bare):
			continue
		default:
			copying = bytes.HasPrefix(bare, []byte("COPY ")) && bytes.HasSuffix(bare, []byte("FROM stdin;"))
		}
		out.Write(line)
	}
	return out.Bytes()
}
