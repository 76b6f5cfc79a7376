// Package config reads what an operator configures: flags before environment
// before file before defaults. It stands at the very beginning: program loads a
// Config once and hands parts of it to the rooms, which know nothing of where a
// value came from.
package config

import (
	"net/netip"
	"time"

	"tenantry/policy/egress"
	"tenantry/policy/limits"
	"tenantry/tenants/vault"
)

// Command is the subcommand that a configuration is for: defaults and what is
// required differ.
type Command string

// The commands that are configured.
const (
	Dev     Command = "dev"
	Serve   Command = "serve"
	Migrate Command = "migrate"
)

// Config is a complete, checked configuration.
type Config struct {
	Command Command

	Listen         string // host:port of the public listener
	OperatorListen string // host:port of the operator listener, which asks for no key
	DataDir        string // dev: everything that survives; serve: the keyring
	Keyring        string // file of the keys that seal secrets

	DatabaseURL       vault.Secret // control plane; empty in dev, which starts its own Postgres
	ManagedURL        vault.Secret // cluster of managed databases; empty: none, or in dev the embedded one
	ManagedExtensions []string     // created in every managed database

	Plans    map[string]limits.Plan // what the operator grants to tenants, by plan; nil: no bounds
	RedisURL vault.Secret           // where nodes count rate limits together; empty: each alone

	OperatorKey vault.Secret // empty: in dev one is generated, in serve there is none
	Signup      string       // SignupOpen or SignupOperator
	Demo        bool         // make the demo tenant; dev only

	EgressAllow []netip.Prefix // networks that tenants' URLs may reach although they are not public
	// Ports that tenants' URLs, and their databases, may reach; nil: any.
	EgressPorts, EgressDatabasePorts egress.Ports
	TrustedProxies                   []netip.Prefix // whose X-Forwarded-For is believed

	TLSCert string // PEM files of the public listener; both or none
	TLSKey  string

	Worker            bool // deliver the runs of asynchronous actions
	WorkerConcurrency int  // runs delivered at a time
	RunRetentionMax   int  // days that projects may keep runs which have ended

	DrainTimeout time.Duration // how long stopping may take
	LogLevel     string        // debug, info, warn or error
}

// Who may sign up.
const (
	SignupOpen     = "open"
	SignupOperator = "operator"
)
