// Package codegen writes the code that an action's handler begins with: the types
// of its contract, the check of the signature, the form of errors, a call back to
// the project as the user, and a function to fill in.
//
// It is pure: what the metadata says of an action goes in, texts of files come
// out. The control API answers them and the program writes them to a folder.
package codegen

import (
	"fmt"
	"slices"
	"strings"

	"tenantry/tenants/metadata"
)

// Framework is a way to run a handler.
type Framework struct {
	Name  string // as it is asked for
	Title string // as people call it
	// files makes the files from what all of them show.
	files func(*contract, Options) ([]File, error)
}

// Frameworks are all that code can be generated for, in the order of listings.
func Frameworks() []Framework {
	return []Framework{
		{"go", "Go with net/http", golang},
		{"express", "Node with Express", typescript("server.ts", "package.json", "tsconfig.json")},
		{"next-pages", "Next.js, pages router", typescript("pages/api/{action}.ts")},
		{"next-app", "Next.js, app router", typescript("app/api/{action}/route.ts")},
		{"python-flask", "Python with Flask", python("app.py", "requirements.txt")},
		{"python-fastapi", "Python with FastAPI", python("app.py", "requirements.txt")},
		{"java-spring", "Java with Spring Web", java},
		{"worker", "a fetch handler for Cloudflare Workers, Deno or Bun", typescript("worker.ts")},
		{"lambda", "AWS Lambda on Node", typescript("index.ts")},
	}
}

// Names are the names of all frameworks.
func Names() []string {
	var names []string
	for _, f := range Frameworks() {
		names = append(names, f.Name)
	}
	return names
}

// File is a text with its path below the folder of the handler, with slashes.
type File struct {
	Name    string
	Content string
	// Scaffold files are a beginning and the author's from then on: they are not
	// written again when the contract changes. The others must not be edited.
	Scaffold bool
}

// Options are what generated code says beside the contract.
type Options struct {
	// GraphQLURL is the project's endpoint, shown where the settings of a handler
	// are; empty shows a placeholder.
	GraphQLURL string
	// Delegate is what the handler runs as the caller, in place of a sample; may be
	// nil.
	Delegate *Delegate
}

// Delegate is an operation whose variables are the arguments of the action.
type Delegate struct {
	Operation string // one operation, with its fragments
	Field     string // of its data, which the action answers; empty: all of it
}

// Generate writes a handler for the named action of a document. The error says
// which name or type of the contract can't be used, or that the action or the
// framework is not known.
func Generate(doc *metadata.Document, action, framework string, o Options) ([]File, error) {
	frameworks := Frameworks()
	i := slices.IndexFunc(frameworks, func(f Framework) bool { return f.Name == framework })
	if i < 0 {
		return nil, fmt.Errorf("expected one of the frameworks %s, found %q", strings.Join(Names(), ", "), framework)
	}
	c, err := read(doc, action)
	if err != nil {
		return nil, err
	}
	c.framework = framework
	if o.GraphQLURL = plain(o.GraphQLURL); o.GraphQLURL == "" {
		o.GraphQLURL = "https://…/p/{project}/v1/graphql"
	}
	return frameworks[i].files(c, o)
}
