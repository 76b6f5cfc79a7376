package program

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tenantry/ops/lifecycle"
	"tenantry/services/tenantry/config"
	"tenantry/services/tenantry/demo/handler"
	"tenantry/tenants/store"
)

// Exit codes of the program.
const (
	ExitOK      = 0
	ExitFailure = 1 // something that it needs is not there: a port, a folder, a database
	ExitUsage   = 2 // it was called or configured wrongly
)

// Main runs the command that the arguments name and returns the exit code. What
// a person asked for goes to stdout, the log and errors to stderr.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	started := false
	root := newRoot(stdin, stdout, stderr, &started)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(context.Background())
	if err == nil {
		return ExitOK
	}
	fmt.Fprintf(stderr, "tenantry: %v\n", err)
	var mistakes config.Mistakes
	switch {
	case !started:
		fmt.Fprintln(stderr, "`tenantry help` shows the commands and their flags")
		return ExitUsage
	case errors.As(err, &mistakes):
		return ExitUsage
	}
	return ExitFailure
}

// newRoot builds the commands. started is set once a command runs: an error
// before that is one of usage.
func newRoot(stdin io.Reader, stdout, stderr io.Writer, started *bool) *cobra.Command {
	root := &cobra.Command{
		Use:               "tenantry",
		Short:             "A multi-tenant GraphQL backend over Postgres and your own webhooks",
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		PersistentPreRun:  func(*cobra.Command, []string) { *started = true },
		Args:              cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			*started = false
			return errors.New("a command is expected, such as `tenantry dev`")
		},
	}
	root.AddCommand(
		runCommand(config.Dev, "Run for development: its own Postgres, open sign-up, a demo tenant", stdout, stderr),
		runCommand(config.Serve, "Run against the Postgres of --database-url", stdout, stderr),
		migrateCommand(stdout),
		configCommand(stdout),
		actionsCommand(stdout),
		versionCommand(stdout),
		demoHandlerCommand(stdin, stdout, stderr),
	)
	return root
}

func runCommand(command config.Command, short string, stdout, stderr io.Writer) *cobra.Command {
	cmd := &cobra.Command{
		Use: string(command), Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(command, config.ProcessSources(cmd.Flags()))
			if err != nil {
				return err
			}
			return Run(cmd.Context(), cfg, stdout, stderr)
		},
	}
	config.AddFlags(cmd.Flags())
	return cmd
}

func migrateCommand(stdout io.Writer) *cobra.Command {
	cmd := &cobra.Command{
		Use: "migrate", Short: "Bring the control plane's database to this version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(config.Migrate, config.ProcessSources(cmd.Flags()))
			if err != nil {
				return err
			}
			return lifecycle.Run(cmd.Context(), cfg.DrainTimeout, func(ctx context.Context, _ *lifecycle.Stack) error {
				if err := store.Migrate(ctx, cfg.DatabaseURL.Reveal()); err != nil {
					return fmt.Errorf("the control plane's database could not be migrated: %w", err)
				}
				fmt.Fprintln(stdout, "the control plane's database has this program's version")
				return nil
			})
		},
	}
	config.AddFlags(cmd.Flags())
	return cmd
}

func configCommand(stdout io.Writer) *cobra.Command {
	show := &cobra.Command{
		Use: "print [dev|serve]", Short: "Show every setting as it takes effect, without secrets (default: of serve)",
		Args: cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs), ValidArgs: []string{string(config.Dev), string(config.Serve)},
		RunE: func(cmd *cobra.Command, args []string) error {
			command := config.Serve
			if len(args) == 1 {
				command = config.Command(args[0])
			}
			from := config.ProcessSources(cmd.Flags())
			if err := config.Print(stdout, command, from); err != nil {
				return err
			}
			_, err := config.Load(command, from)
			return err
		},
	}
	config.AddFlags(show.Flags())
	parent := &cobra.Command{Use: "config", Short: "Look at the configuration"}
	parent.AddCommand(show)
	return parent
}

func versionCommand(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(stdout, "tenantry "+describeBuild())
			return err
		},
	}
}

// demoHandlerCommand is started by dev, which talks to it on stdin and stdout.
func demoHandlerCommand(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	return &cobra.Command{
		Use: "demo-handler", Short: "The demo tenant's webhook; started by dev", Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return handler.Run(cmd.Context(), stdin, stdout, stderr)
		},
	}
}
