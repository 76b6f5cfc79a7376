package metadata

import (
	"encoding/json"
	"slices"

	"tenantry/api/errcode"
)

// AddSourceArgs are the arguments of AddSource.
type AddSourceArgs struct {
	Name          string               `json:"name"`
	Kind          string               `json:"kind,omitempty"`
	Configuration SourceConfiguration  `json:"configuration"`
	Customization *SourceCustomization `json:"customization,omitempty"`
	HealthCheck   json.RawMessage      `json:"health_check,omitempty"`
	Replace       bool                 `json:"replace_configuration,omitempty"`
}

// AddSource adds a source without tables, or replaces the configuration of one
// that exists if args say so.
func AddSource(doc *Document, args AddSourceArgs) (*Document, error) {
	if err := notEmpty(args.Name, "name"); err != nil {
		return nil, err
	}
	err := problemsOf(func(c *decoder) {
		c.customization(args.Customization, "$.customization")
		c.configuration(args.Configuration, "$.configuration")
	})
	if err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		s, err := d.source(args.Name)
		if err == nil && !args.Replace {
			return fail(errcode.AlreadyExists, "source with name %q already exists", args.Name)
		}
		if err != nil {
			d.Sources = append(d.Sources, Source{Name: args.Name, Kind: "postgres", Tables: []Table{}})
			s = &d.Sources[len(d.Sources)-1]
		}
		s.Configuration, s.Customization, s.HealthCheck = args.Configuration, args.Customization, args.HealthCheck
		return nil
	})
}

// UpdateSourceArgs are the arguments of UpdateSource; what is absent stays.
type UpdateSourceArgs struct {
	Name          string               `json:"name"`
	Configuration *SourceConfiguration `json:"configuration,omitempty"`
	Customization *SourceCustomization `json:"customization,omitempty"`
	HealthCheck   json.RawMessage      `json:"health_check,omitempty"`
}

// UpdateSource changes how a source is reached and named.
func UpdateSource(doc *Document, args UpdateSourceArgs) (*Document, error) {
	err := problemsOf(func(c *decoder) {
		c.customization(args.Customization, "$.customization")
		if args.Configuration != nil {
			c.configuration(*args.Configuration, "$.configuration")
		}
	})
	if err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		s, err := d.source(args.Name)
		if err != nil {
			return err
		}
		if args.Configuration != nil {
			s.Configuration = *args.Configuration
		}
		if args.Customization != nil {
			s.Customization = args.Customization
		}
		if args.HealthCheck != nil {
			s.HealthCheck = args.HealthCheck
		}
		return nil
	})
}

// DropSourceArgs are the arguments of DropSource.
type DropSourceArgs struct {
	Name    string `json:"name"`
	Cascade bool   `json:"cascade,omitempty"`
}

// DropSource removes a source with its tables. Relationships of custom types and
// of other sources that lead there forbid it, or go too if args say cascade.
func DropSource(doc *Document, args DropSourceArgs) (*Document, error) {
	return edit(doc, func(d *Document) error {
		s, err := d.source(args.Name)
		if err != nil {
			return err
		}
		f := &following{source: s, document: d}
		tables := map[TableName]bool{}
		for _, t := range s.Tables {
			tables[t.Table] = true
		}
		on := newDependents()
		f.typesOn(on, tables, nil)
		f.remotesOn(on, tables, nil)
		if len(on.others) > 0 && !args.Cascade {
			return dependency(on.others)
		}
		on.dropTheOthers()
		d.Sources = slices.DeleteFunc(d.Sources, func(s Source) bool { return s.Name == args.Name })
		return nil
	})
}

// RenameSourceArgs are the arguments of RenameSource.
type RenameSourceArgs struct {
	Name    string `json:"name"`
	NewName string `json:"new_name"`
}

// RenameSource renames a source, for all that refers to it too.
func RenameSource(doc *Document, args RenameSourceArgs) (*Document, error) {
	if err := notEmpty(args.NewName, "new_name"); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		s, err := d.source(args.Name)
		if err != nil {
			return err
		}
		if args.NewName == args.Name {
			return nil
		}
		if _, err := d.source(args.NewName); err == nil {
			return fail(errcode.AlreadyExists, "source with name %q already exists", args.NewName)
		}
		if d.CustomTypes != nil {
			f := &following{source: s}
			for i := range d.CustomTypes.Objects {
				for j := range d.CustomTypes.Objects[i].Relationships {
					if r := &d.CustomTypes.Objects[i].Relationships[j]; f.here(*r) {
						r.Source = args.NewName
					}
				}
			}
		}
		for i := range d.Sources {
			for j := range d.Sources[i].Tables {
				for _, r := range d.Sources[i].Tables[j].RemoteRelationships {
					if to := r.Definition.ToSource; to != nil && to.Source == args.Name {
						to.Source = args.NewName
					}
				}
			}
		}
		s.Name = args.NewName
		return nil
	})
}

// QueryTagsArgs are the arguments of SetQueryTags.
type QueryTagsArgs struct {
	Source        string `json:"source_name"`
	Disabled      bool   `json:"disabled,omitempty"`
	Format        string `json:"format,omitempty"`
	OmitRequestID *bool  `json:"omit_request_id,omitempty"`
}

// SetQueryTags says how statements of a source are commented.
func SetQueryTags(doc *Document, args QueryTagsArgs) (*Document, error) {
	return edit(doc, func(d *Document) error {
		s, err := d.source(args.Source)
		if err != nil {
			return err
		}
		tags := map[string]any{}
		if args.Disabled {
			tags["disabled"] = true
		}
		if args.Format != "" {
			if args.Format != "standard" && args.Format != "standard_prepended" && args.Format != "sqlcommenter" {
				return errcode.New(errcode.ParseFailed, "expected standard, standard_prepended or sqlcommenter").At("$.format")
			}
			tags["format"] = args.Format
		}
		if args.OmitRequestID != nil {
			tags["omit_request_id"] = *args.OmitRequestID
		}
		text, err := json.Marshal(tags)
		s.QueryTags = text
		return err
	})
}
