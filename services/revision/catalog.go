package revision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tenantry/api/errcode"
	"tenantry/services/engine/introspect"
	"tenantry/services/live"
	"tenantry/tenants"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/settings"
)

// introspect reads the catalogs that a draft needs: those of sources that have
// none yet, and all when again is set.
func (s *Service) introspect(ctx context.Context, d *draft, again bool) error {
	moved := !d.state.Settings.Database.URL.Equal(d.before.Settings.Database.URL)
	for _, src := range d.out.Document.Sources {
		known := d.state.Catalogs[src.Name]
		if known != nil && !again && !moved && !lacksEnums(known, src) {
			continue
		}
		fresh, err := s.read(ctx, src, d.state.Project, d.state.Settings)
		if errors.Is(err, live.ErrNoAddress) {
			continue
		}
		if err != nil {
			return err
		}
		if known != nil && known.Fingerprint() == fresh.Fingerprint() {
			continue
		}
		d.state.Catalogs = maps.Clone(d.state.Catalogs)
		d.state.Catalogs[src.Name] = fresh
		d.catalogsChanged = append(d.catalogsChanged, src.Name)
	}
	return nil
}

func (s *Service) read(ctx context.Context, src metadata.Source, p tenants.Project, set settings.Settings) (*catalog.Catalog, error) {
	opened, err := live.OpenSource(s.Pools, src, p, set)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	pool, err := opened.Pgx(ctx)
	if err != nil {
		return nil, err
	}
	return readCatalog(ctx, pool, src)
}

func readCatalog(ctx context.Context, db introspect.Querier, src metadata.Source) (*catalog.Catalog, error) {
	c, err := introspect.Read(ctx, db)
	if err != nil {
		return nil, errcode.New(errcode.ConnectionFailed, "the catalog of source %q can't be read", src.Name).Because(err)
	}
	return c, readEnums(ctx, db, c, src)
}

func readEnums(ctx context.Context, db introspect.Querier, c *catalog.Catalog, src metadata.Source) error {
	if err := introspect.ReadEnums(ctx, db, c, enumTables(src)); err != nil {
		return errcode.New(errcode.ConnectionFailed, "the enum tables of source %q can't be read", src.Name).Because(err)
	}
	return nil
}

// enumTables are the tables of a source that metadata uses as enums.
func enumTables(src metadata.Source) []catalog.Name {
	var names []catalog.Name
	for _, t := range src.Tables {
		if t.IsEnum {
			names = append(names, catalog.Name{Schema: t.Table.Schema, Name: t.Table.Name})
		}
	}
	return names
}

// lacksEnums reports whether the values of some enum table were not read yet.
func lacksEnums(known *catalog.Catalog, src metadata.Source) bool {
	for _, name := range enumTables(src) {
		if t, ok := known.Table(name); ok && t.MayBeEnum() && len(t.Values) == 0 {
			return true
		}
	}
	return false
}

// Catalog reads the catalog of the source "default" afresh and, when it has
// changed, makes the project follow.
func (s *Service) Catalog(ctx context.Context, projectSlugOrID string) (*catalog.Catalog, error) {
	state, err := s.Store.LoadProject(ctx, projectSlugOrID)
	if err != nil {
		return nil, err
	}
	doc, err := metadata.Decode(state.Document)
	if err != nil {
		return nil, fmt.Errorf("stored metadata: %w", err)
	}
	for _, src := range doc.Sources {
		if src.Name == metadata.DefaultSource {
			return s.read(ctx, src, state.Project, state.Settings)
		}
	}
	return nil, errcode.New(errcode.NotExists, "the project has no source %q", metadata.DefaultSource)
}

// refuseAddresses keeps database addresses out of the metadata, which is not
// sealed and is shown by export: they belong to variables and settings. Replicas
// are kept although they are not served.
func refuseAddresses(doc *metadata.Document) error {
	for i, src := range doc.Sources {
		c := &src.Configuration
		refuse := func(member string, values ...json.RawMessage) error {
			if !slices.ContainsFunc(values, holdsAddress) {
				return nil
			}
			return errcode.New(errcode.InvalidConfiguration,
				"%s of source %q holds an address: put it into a variable of the project and refer to it with from_env", member[strings.LastIndexByte(member, '.')+1:], src.Name).
				At(fmt.Sprintf("$.sources[%d].configuration.%s", i, member))
		}
		for _, err := range []error{
			refuse("connection_info.database_url", c.ConnectionInfo.DatabaseURL),
			refuse("read_replicas", c.ReadReplicas...),
			refuse("connection_set", c.ConnectionSet...),
		} {
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// holdsAddress says whether a URL or a database's address stands in a value: the
// text of a database_url is one in any form.
func holdsAddress(text json.RawMessage) bool {
	var value any
	if json.Unmarshal(text, &value) != nil {
		return false // refused elsewhere
	}
	if _, literal := value.(string); literal {
		value = map[string]any{"database_url": value}
	}
	return addressIn(value)
}

func addressIn(value any) bool {
	switch v := value.(type) {
	case string:
		return strings.Contains(v, "://")
	case []any:
		return slices.ContainsFunc(v, addressIn)
	case map[string]any:
		for key, member := range v {
			text, literal := member.(string)
			if key == "connection_parameters" || key == "database_url" && literal && text != "" || addressIn(member) {
				return true
			}
		}
	}
	return false
}
