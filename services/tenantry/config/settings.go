package config

import (
	"path/filepath"
	"strings"

	"tenantry/policy/egress"
)

// anyPortWord lets every port be reached.
const anyPortWord = "any"

// setting is one thing that can be configured. Its name is that of the flag and
// of the file's key; the environment's name follows from it.
type setting struct {
	name   string
	usage  string
	secret bool // never printed
	toggle bool // the flag may stand without a value
	// dev and serve are the defaults, in the form in which they would be given.
	dev, serve string
	// onlyFor names the command that alone can be given a value, with the reason
	// why others refuse it; empty: all.
	onlyFor Command
	reason  string
	// read parses a text that is not empty into the Config.
	read func(c *Config, text string) error
}

// env is the name of the setting's environment variable.
func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

func (s setting) fallback(command Command) string {
	if command == Dev {
		return s.dev
	}
	return s.serve
}

// both is a default that does not depend on the command.
func both(s setting, value string) setting {
	s.dev, s.serve = value, value
	return s
}

// settings are all of them, in the order in which they are shown.
var settings = []setting{
	both(setting{
		name: "listen", usage: "address of the public listener, host:port",
		read: func(c *Config, text string) error { return readAddress(&c.Listen, text) },
	}, ":8080"),
	both(setting{
		name: "operator-listen", usage: "address of the operator listener (metrics, health, pprof), host:port; it asks for no key",
		read: func(c *Config, text string) error { return readAddress(&c.OperatorListen, text) },
	}, "127.0.0.1:8081"),
	{
		name: "data-dir", usage: "folder of what must survive: the keyring, and in dev Postgres and the demo's keys (default /var/lib/tenantry for root, else $XDG_DATA_HOME/tenantry or ~/.local/share/tenantry)",
		read: func(c *Config, text string) (err error) { c.DataDir, err = filepath.Abs(text); return err },
	},
	{
		name: "database-url", usage: "postgres:// URL of the control plane's database", secret: true,
		onlyFor: Serve, reason: "dev starts a Postgres of its own; use serve with a database",
		read: func(c *Config, text string) error { return readPostgresURL(&c.DatabaseURL, text) },
	},
	{
		name: "operator-key", usage: "key of the operator for the control API (dev: generated and kept in the data folder)", secret: true,
		read: func(c *Config, text string) error { return readKey(&c.OperatorKey, text) },
	},
	{
		name: "demo", usage: "make a demo tenant at the first start (dev only)", toggle: true,
		dev: "true", serve: "false",
		read: func(c *Config, text string) error { return readBool(&c.Demo, text) },
	},
	{
		name: "signup", usage: "who may create tenants: open or operator",
		dev: SignupOpen, serve: SignupOperator,
		read: func(c *Config, text string) error { return readOneOf(&c.Signup, text, SignupOpen, SignupOperator) },
	},
	{
		name: "egress-allow", usage: "networks that tenants' URLs may reach although they are not public, separated by commas (dev adds loopback)",
		read: func(c *Config, text string) error { return readNetworks(&c.EgressAllow, text) },
	},
	{
		name: "egress-ports", usage: "ports that tenants' http URLs may reach, such as 443 or 8000-8999, separated by commas; any is any port",
		dev: anyPortWord, serve: egress.WebPorts,
		read: func(c *Config, text string) error { return readPorts(&c.EgressPorts, text) },
	},
	{
		name: "egress-database-ports", usage: "ports of tenants' databases, separated by commas; any is any port",
		dev: anyPortWord, serve: egress.DatabasePorts,
		read: func(c *Config, text string) error { return readPorts(&c.EgressDatabasePorts, text) },
	},
	{
		name: "managed-url", usage: "postgres:// URL of the cluster on which managed databases are made (dev: its own)", secret: true,
		onlyFor: Serve, reason: "dev makes managed databases on its own Postgres",
		read: func(c *Config, text string) error { return readPostgresURL(&c.ManagedURL, text) },
	},
	{
		name: "managed-extensions", usage: "extensions of every managed database, separated by commas",
		read: func(c *Config, text string) error { return readExtensions(&c.ManagedExtensions, text) },
	},
	{
		name: "plans", usage: "what each tenant of a plan may use, plans separated by commas: free requests=10 concurrent=4 actions=60 sockets=20 calls=50 timeout=60 (default no bounds)",
		read: func(c *Config, text string) error { return readPlans(&c.Plans, text) },
	},
	{
		name: "redis-url", usage: "redis:// or rediss:// URL of a Redis or Valkey in which several nodes count rate limits together", secret: true,
		read: func(c *Config, text string) error { return readRedisURL(&c.RedisURL, text) },
	},
	{
		name: "keyring", usage: "file of the keys that seal secrets (default keyring.json in the data folder)",
		read: func(c *Config, text string) (err error) { c.Keyring, err = filepath.Abs(text); return err },
	},
	{
		name: "trusted-proxies", usage: "addresses or networks whose X-Forwarded-For is believed, separated by commas",
		read: func(c *Config, text string) error { return readNetworks(&c.TrustedProxies, text) },
	},
	{
		name: "tls-cert", usage: "PEM file with the public listener's certificate chain",
		read: func(c *Config, text string) error { c.TLSCert = text; return nil },
	},
	{
		name: "tls-key", usage: "PEM file with the certificate's private key",
		read: func(c *Config, text string) error { c.TLSKey = text; return nil },
	},
	both(setting{
		name: "worker", usage: "deliver the runs of asynchronous actions", toggle: true,
		read: func(c *Config, text string) error { return readBool(&c.Worker, text) },
	}, "true"),
	both(setting{
		name: "worker-concurrency", usage: "how many runs of asynchronous actions are delivered at a time, 1 to 1000",
		read: func(c *Config, text string) error { return readCount(&c.WorkerConcurrency, text, 1000) },
	}, "64"),
	both(setting{
		name: "run-retention-max", usage: "how many days projects may keep the runs of asynchronous actions at most, 1 to 3650",
		read: func(c *Config, text string) error { return readCount(&c.RunRetentionMax, text, 3650) },
	}, "90"),
	{
		name: "drain-timeout", usage: "how long stopping may take, such as 30s",
		dev: "10s", serve: "30s",
		read: func(c *Config, text string) error { return readDuration(&c.DrainTimeout, text) },
	},
	both(setting{
		name: "log-level", usage: "debug, info, warn or error",
		read: func(c *Config, text string) error {
			return readOneOf(&c.LogLevel, text, "debug", "info", "warn", "error")
		},
	}, "info"),
}
