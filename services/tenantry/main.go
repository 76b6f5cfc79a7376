// Command tenantry is the whole product: `tenantry dev` for one's own machine,
// `tenantry serve` against the operator's Postgres. `tenantry help` lists all.
package main

import (
	"os"

	"tenantry/services/tenantry/program"
)

func main() {
	os.Exit(program.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
