package revision

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"tenantry/api/errcode"
	"tenantry/ops/audit"
	"tenantry/services/engine/introspect"
	"tenantry/services/engine/source"
	"tenantry/tenants"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/settings"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

// Database says where a new project's database is: at URL, or made by the
// platform.
type Database struct {
	URL     vault.Secret
	Managed bool
}

// Created is a new project with its first admin secret, which is shown once.
type Created struct {
	Project     tenants.Project
	AdminSecret vault.Secret
	SecretID    string
}

// databasePointer is where the control API says that a database can't be used.
const databasePointer = "/database/url"

// Create makes a project. Its database is tried first: unreachable, a wrong
// password and too old a Postgres are errors at /database/url.
func (s *Service) Create(ctx context.Context, author Author, p store.NewProject, db Database) (Created, error) {
	p.Managed = db.Managed
	name := ""
	if db.Managed {
		if s.Cluster == nil {
			return Created{}, errcode.New(errcode.NotSupported, "this installation makes no managed databases: give a database url").At("/database/managed")
		}
		name = managedName()
		url, err := s.Cluster.CreateDatabase(ctx, name)
		if err != nil {
			return Created{}, err
		}
		db.URL = vault.NewSecret(url)
	}
	out, err := s.create(ctx, author, p, db)
	if err != nil && name != "" {
		// The request may be what ended; its database must not stay.
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if dropErr := s.Cluster.DropDatabase(clean, name); dropErr != nil {
			s.Logger.Error("managed database left behind", "type", "startup", "database", name, "error", dropErr)
		}
	}
	return out, err
}

// managedName is a database name that is never used twice.
func managedName() string {
	secret, _ := vault.Token("")
	return "p_" + strings.ToLower(strings.Map(alphanumeric, secret.Reveal()))[:20]
}

func alphanumeric(r rune) rune {
	if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return -1
}

func (s *Service) create(ctx context.Context, author Author, p store.NewProject, db Database) (Created, error) {
	found, err := s.try(ctx, db)
	if err != nil {
		return Created{}, err
	}
	document, err := metadata.Encode(newDocument())
	if err != nil {
		return Created{}, err
	}
	secret, prefix := vault.Token("as_")
	out := Created{AdminSecret: secret}
	err = s.Store.Change(ctx, nil, func(ctx context.Context, tx *store.Tx) error {
		if out.Project, err = tx.CreateProject(ctx, p); err != nil {
			return err
		}
		id := out.Project.ID
		first := settings.Settings{
			Database:       settings.DatabaseSettings{URL: db.URL},
			SigningKeys:    []settings.SigningKey{settings.NewSigningKey(tx.Now())},
			SigningSecrets: []settings.SigningSecret{settings.NewSigningSecret(tx.Now())},
		}
		if _, err := tx.PutMetadata(ctx, id, 0, document, author.Actor); err != nil {
			return err
		}
		if _, err := tx.PutSettings(ctx, id, 0, first, author.Actor); err != nil {
			return err
		}
		if err := tx.PutCatalog(ctx, id, metadata.DefaultSource, found); err != nil {
			return err
		}
		stored, err := tx.CreateAdminSecret(ctx, id, "first", prefix, vault.Hash(secret.Reveal()))
		if err != nil {
			return err
		}
		out.SecretID = stored.ID
		tx.Record(audit.Event{
			Kind: audit.KindChange, TenantID: p.TenantID, ProjectID: id, Actor: author.Actor, Action: "project.create", Target: out.Project.Slug,
			Outcome: audit.OK, RequestID: author.RequestID, IP: author.IP, Detail: map[string]any{"managed": p.Managed},
		})
		return nil
	})
	return out, err
}

// newDocument is the metadata of a new project: its database, nothing tracked.
func newDocument() *metadata.Document {
	return &metadata.Document{Version: 3, Sources: []metadata.Source{{
		Name: metadata.DefaultSource, Kind: "postgres",
		Configuration: metadata.SourceConfiguration{ConnectionInfo: metadata.ConnectionInfo{
			DatabaseURL: json.RawMessage(`{"from_env":"PROJECT_DATABASE_URL"}`),
		}},
		Tables: []metadata.Table{},
	}}}
}

// try connects to a database and reads its catalog.
func (s *Service) try(ctx context.Context, db Database) (*catalog.Catalog, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	src, err := s.Pools.Source(db.URL, source.Options{Trusted: db.Managed, MaxConnections: 2})
	if err != nil {
		return nil, errcode.New(errcode.InvalidConfiguration, "%s", err.Error()).At(databasePointer)
	}
	defer src.Close()
	if err := src.Probe(ctx); err != nil {
		return nil, errcode.From(err).At(databasePointer)
	}
	pool, err := src.Pgx(ctx)
	if err != nil {
		return nil, errcode.From(err).At(databasePointer)
	}
	found, err := introspect.Read(ctx, pool)
	if err != nil {
		return nil, errcode.New(errcode.ConnectionFailed, "the database's catalog can't be read").At(databasePointer).Because(err)
	}
	return found, nil
}

// MoveDatabase points a project at another database; connections to the old one
// drain.
func (s *Service) MoveDatabase(ctx context.Context, author Author, project string, url vault.Secret) (Outcome, error) {
	if _, err := s.try(ctx, Database{URL: url}); err != nil {
		return Outcome{}, err
	}
	state, err := s.Store.LoadProject(ctx, project)
	if err != nil {
		return Outcome{}, err
	}
	unmanaged := false
	return s.Apply(ctx, state.Project.ID, Change{
		Author: author, Action: "database.move", Target: state.Project.Slug, AllowInconsistent: true,
		Settings: func(set settings.Settings) (settings.Settings, error) {
			set.Database.URL = url
			return set, nil
		},
		Unmanaged: true,
		Also: func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.UpdateProject(ctx, state.Project.ID, store.ProjectEdit{Managed: &unmanaged})
			return err
		},
	})
}

// SDL is the schema as a role sees it.
func (s *Service) SDL(ctx context.Context, project, role string) (string, error) {
	e, err := s.Live.Get(ctx, project)
	if err != nil {
		return "", err
	}
	view, _ := e.Current().Instance.Schema(role, false)
	return view.SDL(), nil
}
