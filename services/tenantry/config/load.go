package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

const (
	envPrefix  = "TENANTRY_"
	testPrefix = "TENANTRY_TEST_" // variables for tests, none of ours
	fileFlag   = "config"
	fileEnv    = "TENANTRY_CONFIG"
)

// serviceLink matches the variables that Kubernetes puts into every container
// beside a service named "tenantry".
var serviceLink = regexp.MustCompile(`^TENANTRY_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_.*)?)$`)

// Sources are where a configuration comes from.
type Sources struct {
	Flags   *pflag.FlagSet // parsed; made by AddFlags
	Environ []string       // as from os.Environ
	Root    bool           // whether the program runs as root, which has another data folder
}

// AddFlags gives a command the flags of all settings. Their defaults stay empty
// here: a default that depends on the command must not hide the environment.
func AddFlags(flags *pflag.FlagSet) {
	for _, s := range settings {
		usage := s.usage
		if s.dev != "" && s.dev == s.serve {
			usage += fmt.Sprintf(" (default %s)", s.dev)
		} else if s.dev != "" {
			usage += fmt.Sprintf(" (default %s in dev, %s in serve)", s.dev, s.serve)
		}
		flags.String(s.name, "", usage)
		if s.toggle {
			flags.Lookup(s.name).NoOptDefVal = "true"
		}
	}
	flags.String(fileFlag, "", "YAML file whose keys are the names of these flags")
}

// Mistakes are all that is wrong with a configuration, one sentence each, with
// the name of the flag, variable or key.
type Mistakes []string

// Error lists the mistakes, one a line.
func (m Mistakes) Error() string {
	if len(m) == 1 {
		return "the configuration has a mistake: " + m[0]
	}
	return fmt.Sprintf("the configuration has %d mistakes:\n  %s", len(m), strings.Join(m, "\n  "))
}

// Load reads and checks the configuration of a command. Its error is Mistakes.
func Load(command Command, from Sources) (Config, error) {
	given, mistakes := collect(from)
	c := Config{Command: command}
	for _, s := range settings {
		value := given.text(s, command)
		if s.onlyFor == Serve && command == Dev && given.has(s.name) {
			mistakes = append(mistakes, fmt.Sprintf("%s: %s", given.name(s), s.reason))
			continue
		}
		if value == "" {
			continue
		}
		if err := s.read(&c, value); err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				mistakes = append(mistakes, fmt.Sprintf("%s: %s", given.name(s), line))
			}
		}
	}
	mistakes = append(mistakes, complete(&c, given, from)...)
	if len(mistakes) > 0 {
		return Config{}, mistakes
	}
	return c, nil
}

// given is what the sources say, before any default.
type given struct {
	values *koanf.Koanf
	origin map[string]string // setting → how its source calls it, such as "TENANTRY_LISTEN"
}

// collect lays the sources above each other, the file at the bottom.
func collect(from Sources) (given, Mistakes) {
	g := given{values: koanf.New("\x00"), origin: map[string]string{}}
	var mistakes Mistakes

	flags := koanf.New("\x00")
	if from.Flags != nil {
		_ = flags.Load(posflag.Provider(from.Flags, "\x00", nil), nil) // reads memory, can't fail
	}
	variables, unknown := readEnvironment(from.Environ)
	mistakes = append(mistakes, unknown...)

	path, origin := flags.String(fileFlag), "--"+fileFlag
	if path == "" {
		path, origin = variables.String(fileFlag), fileEnv
	}
	if path != "" {
		values, problems := readFile(path, origin)
		mistakes = append(mistakes, problems...)
		g.lay(values, func(s setting) string { return fmt.Sprintf("%s in %s", s.name, path) })
	}
	g.lay(variables, setting.env)
	g.lay(flags, func(s setting) string { return "--" + s.name })
	return g, mistakes
}

// lay puts a layer above what is there.
func (g given) lay(layer *koanf.Koanf, name func(setting) string) {
	for _, s := range settings {
		if layer.Exists(s.name) {
			g.origin[s.name] = name(s)
		}
	}
	_ = g.values.Merge(layer) // flat maps of texts always fit
}

// has reports whether a setting was given; an empty text gives nothing, but it
// takes back what a source below gave.
func (g given) has(name string) bool { return g.values.String(name) != "" }

// text is a setting's value: what was given, else the default.
func (g given) text(s setting, command Command) string {
	if !g.has(s.name) {
		return s.fallback(command)
	}
	return g.values.String(s.name)
}

// name is how a mistake calls the setting: as whoever gave it did, else by both
// of its names.
func (g given) name(s setting) string {
	if origin := g.origin[s.name]; origin != "" {
		return origin
	}
	return fmt.Sprintf("--%s (%s)", s.name, s.env())
}

// notOurs are variables with our prefix that commands talking to a server and
// handlers of actions read; who works with those has them around.
var notOurs = map[string]string{
	"TENANTRY_URL": "", "TENANTRY_PROJECT": "", "TENANTRY_KEY": "", "TENANTRY_SIGNING_SECRET": "", "TENANTRY_GRAPHQL_URL": "",
}

// readEnvironment takes the variables with our prefix. An empty one counts as
// not given, so that a compose file can pass on what may be unset.
func readEnvironment(environ []string) (*koanf.Koanf, Mistakes) {
	names := maps.Clone(notOurs)
	names[fileEnv] = fileFlag
	for _, s := range settings {
		names[s.env()] = s.name
	}
	var unknown Mistakes
	provider := env.Provider("", env.Opt{
		Prefix: envPrefix,
		TransformFunc: func(name, value string) (string, any) {
			key, known := names[name]
			switch {
			case known && key != "" && value != "":
				return key, value
			case !known && !strings.HasPrefix(name, testPrefix) && !serviceLink.MatchString(name):
				unknown = append(unknown, name+": there is no such setting")
			}
			return "", nil
		},
		EnvironFunc: func() []string { return environ },
	})
	k := koanf.New("\x00")
	_ = k.Load(provider, nil) // reads memory, can't fail
	slices.Sort(unknown)
	return k, unknown
}

// readFile reads a YAML file of settings. Lists become texts with commas, as
// flags have them.
func readFile(path, origin string) (*koanf.Koanf, Mistakes) {
	values := koanf.New("\x00")
	raw := koanf.New("\x00")
	if err := raw.Load(file.Provider(path), yaml.Parser()); err != nil {
		var cause *fs.PathError
		if errors.As(err, &cause) {
			err = cause.Err
		}
		return values, Mistakes{fmt.Sprintf("%s: cannot read %s: %v", origin, path, firstLine(err))}
	}
	var mistakes Mistakes
	flat := map[string]any{}
	content := raw.Raw()
	for _, key := range slices.Sorted(maps.Keys(content)) {
		if !slices.ContainsFunc(settings, func(s setting) bool { return s.name == key }) {
			mistakes = append(mistakes, fmt.Sprintf("%s in %s: there is no such setting", key, path))
			continue
		}
		text, ok := scalar(content[key])
		if !ok {
			mistakes = append(mistakes, fmt.Sprintf("%s in %s: expected a value or a list of values", key, path))
			continue
		}
		flat[key] = text
	}
	_ = values.Load(confmap.Provider(flat, ""), nil) // reads memory, can't fail
	return values, mistakes
}

// scalar is the text of a value of the file.
func scalar(value any) (string, bool) {
	switch v := value.(type) {
	case nil:
		return "", true
	case map[string]any:
		return "", false
	case []any:
		var items []string
		for _, item := range v {
			text, ok := scalar(item)
			if !ok {
				return "", false
			}
			items = append(items, text)
		}
		return strings.Join(items, ","), true
	}
	return fmt.Sprint(value), true
}

// firstLine keeps an error of a parser to one line; the rest may quote the file,
// which may hold secrets.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// defaultDataDir is where data goes when nobody said. Root's home is closed to
// the user that Postgres then runs as, so root gets a folder of the system.
func defaultDataDir(from Sources) string {
	if from.Root {
		return "/var/lib/tenantry"
	}
	variables := map[string]string{}
	for _, entry := range from.Environ {
		name, value, _ := strings.Cut(entry, "=")
		variables[name] = value
	}
	if base := variables["XDG_DATA_HOME"]; filepath.IsAbs(base) {
		return filepath.Join(base, "tenantry")
	}
	if home := variables["HOME"]; filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "share", "tenantry")
	}
	return ""
}

// ProcessSources are the sources of the running program.
func ProcessSources(flags *pflag.FlagSet) Sources {
	return Sources{Flags: flags, Environ: os.Environ(), Root: os.Geteuid() == 0}
}
