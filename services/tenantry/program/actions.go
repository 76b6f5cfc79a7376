package program

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tenantry/services/engine/codegen"
	"tenantry/services/engine/schema/sdl"
	"tenantry/tenants/metadata"
)

// Variables that stand in for flags of commands which talk to a server.
const (
	urlVariable     = "TENANTRY_URL"
	projectVariable = "TENANTRY_PROJECT"
	keyVariable     = "TENANTRY_KEY"
)

func actionsCommand(stdout io.Writer) *cobra.Command {
	parent := &cobra.Command{Use: "actions", Short: "Work on the handlers of actions"}
	parent.AddCommand(codegenCommand(stdout))
	return parent
}

// generation is what `actions codegen` was asked for.
type generation struct {
	framework, action, out string
	url, project           string
	key                    string
	sdl, metadata          string // files; empty: the server is asked
}

func codegenCommand(stdout io.Writer) *cobra.Command {
	g := &generation{}
	cmd := &cobra.Command{
		Use: "codegen", Short: "Write the code that a handler of an action begins with",
		Long: "Write the code that a handler of an action begins with: the types of its contract, the check of the\n" +
			"signature, and a function to fill in. The contract comes from a server, or from a file with --sdl or\n" +
			"--metadata. What was filled in is never written over; run it again when the contract has changed.\n\nFrameworks:\n" + listFrameworks(),
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.NoArgs(cmd, args); err != nil {
				return err
			}
			return g.check()
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			files, err := g.generate(cmd.Context())
			if err != nil {
				return err
			}
			return writeFiles(stdout, g.out, files)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&g.framework, "framework", "", "one of those above")
	flags.StringVar(&g.action, "action", "", "name of the action")
	flags.StringVar(&g.out, "out", ".", "folder to write to")
	flags.StringVar(&g.url, "url", os.Getenv(urlVariable), "address of the server ("+urlVariable+")")
	flags.StringVar(&g.project, "project", os.Getenv(projectVariable), "id or slug of the project ("+projectVariable+")")
	flags.StringVar(&g.key, "key", "", "a key that may read the project's metadata ("+keyVariable+")")
	flags.StringVar(&g.sdl, "sdl", "", "file with the definition of the action, instead of a server")
	flags.StringVar(&g.metadata, "metadata", "", "file with exported metadata, instead of a server")
	return cmd
}

func listFrameworks() string {
	var out strings.Builder
	for _, f := range codegen.Frameworks() {
		fmt.Fprintf(&out, "  %-15s %s\n", f.Name, f.Title)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// check finds what is missing, all at once.
func (g *generation) check() error {
	if g.key == "" {
		g.key = os.Getenv(keyVariable)
	}
	var mistakes []error
	need := func(flag, value, expected string) {
		if value == "" {
			mistakes = append(mistakes, fmt.Errorf("--%s: expected %s", flag, expected))
		}
	}
	need("framework", g.framework, "one of "+strings.Join(codegen.Names(), ", "))
	need("action", g.action, "the name of an action")
	switch {
	case g.sdl != "" && g.metadata != "":
		mistakes = append(mistakes, errors.New("--sdl, --metadata: expected one of them"))
	case g.sdl == "" && g.metadata == "":
		need("url", g.url, "the address of the server, such as http://localhost:8080 (or a file with --sdl or --metadata)")
		need("project", g.project, "the id or slug of the project")
		need("key", g.key, "a key that may read the project's metadata")
	}
	return errors.Join(mistakes...)
}

func (g *generation) generate(ctx context.Context) ([]codegen.File, error) {
	if g.sdl == "" && g.metadata == "" {
		return g.ask(ctx)
	}
	doc, err := g.document()
	if err != nil {
		return nil, err
	}
	return codegen.Generate(doc, g.action, g.framework, codegen.Options{})
}

// document reads the file that has the contract.
func (g *generation) document() (*metadata.Document, error) {
	if g.metadata != "" {
		text, err := os.ReadFile(g.metadata)
		if err != nil {
			return nil, fmt.Errorf("the metadata: %w", err)
		}
		return metadata.Decode(text)
	}
	text, err := os.ReadFile(g.sdl)
	if err != nil {
		return nil, fmt.Errorf("the definition: %w", err)
	}
	read, err := sdl.ParseAction(string(text), g.action)
	if err != nil {
		return nil, fmt.Errorf("the definition: %w", err)
	}
	return &metadata.Document{
		Actions:     []metadata.Action{{Name: g.action, Comment: read.Comment, Definition: read.Definition}},
		CustomTypes: &read.Types,
	}, nil
}

// maxAnswer bounds what is read of a server, in bytes.
const maxAnswer = 16 << 20

// ask lets the server generate, which knows the contract.
func (g *generation) ask(ctx context.Context) ([]codegen.File, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	at := strings.TrimSuffix(g.url, "/") + "/api/v1/projects/" + url.PathEscape(g.project) + "/actions/" + url.PathEscape(g.action) +
		":codegen?framework=" + url.QueryEscape(g.framework)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, fmt.Errorf("--url: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+g.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		Files  []codegen.File
		Detail string
		Errors []struct{ Message string }
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err != nil {
		return nil, fmt.Errorf("%s does not answer as a Tenantry does (status %d)", g.url, response.StatusCode)
	}
	if response.StatusCode != http.StatusOK {
		what := answer.Detail
		for _, e := range answer.Errors {
			what += "; " + e.Message
		}
		return nil, fmt.Errorf("the server refused with status %d: %s", response.StatusCode, what)
	}
	return answer.Files, nil
}

// generatedMark is in the first line of every file that may be written over,
// actionMark follows where the file is that of one action.
const (
	generatedMark = "enerated by `tenantry actions codegen`"
	actionMark    = generatedMark + " for the action "
)

// writeFiles writes below a folder and nowhere else, whatever the names say.
// Scaffolds that are there stay; so do files that were not generated.
func writeFiles(stdout io.Writer, dir string, files []codegen.File) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, f := range files {
		if err := replaceable(root, f); err != nil {
			return err
		}
	}
	for _, f := range files {
		if _, err := root.Stat(f.Name); err == nil && f.Scaffold {
			fmt.Fprintf(stdout, "kept  %s\n", f.Name)
			continue
		}
		if err := root.MkdirAll(path.Dir(f.Name), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(f.Name, []byte(f.Content), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "wrote %s\n", f.Name)
	}
	return nil
}

// replaceable says why a file may not be written: one that is there was not generated,
// or is that of another action.
func replaceable(root *os.Root, f codegen.File) error {
	there, err := root.ReadFile(f.Name)
	if err != nil || f.Scaffold {
		return nil //nolint:nilerr // nothing to lose: what can't be read is told when it is written
	}
	first, _, _ := strings.Cut(string(there), "\n")
	next, _, _ := strings.Cut(f.Content, "\n")
	switch {
	case !strings.Contains(first, generatedMark):
		return fmt.Errorf("%s is there and was not generated: choose another folder with --out", f.Name)
	case strings.Contains(first, actionMark) && first != next:
		return fmt.Errorf("%s is there and belongs to another action: choose another folder with --out", f.Name)
	}
	return nil
}
