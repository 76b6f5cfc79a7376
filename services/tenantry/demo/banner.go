package demo

import (
	"fmt"
	"io"
	"strings"
)

// Banner tells a person what runs where, the keys, and what to try. It is for
// stdout only: it holds secrets.
func (d *Demo) Banner(w io.Writer) error {
	var b strings.Builder
	line := func(name, value string) { fmt.Fprintf(&b, "    %-15s %s\n", name, value) }
	fmt.Fprintf(&b, "\n  Tenantry is running. Ctrl-C stops it; the data stays in %s\n\n", d.opts.DataDir)
	line("Control API", d.opts.PublicURL+"/api/v1")
	line("API docs", d.opts.PublicURL+"/api/docs")
	line("Operator", d.opts.OperatorURL+"/metrics  /healthz/ready")
	line("Operator key", d.opts.OperatorKey.Reveal())
	if !d.made {
		b.WriteString("\n  Sign up a tenant:\n\n")
		b.WriteString(curl(d.opts.PublicURL+"/api/v1/tenants", `{"name": "My company", "email": "me@example.com"}`))
		b.WriteByte('\n')
		_, err := io.WriteString(w, b.String())
		return err
	}
	s := d.state
	b.WriteString("\n  The demo tenant and its project \"shop\" (keys also in demo.json there)\n\n")
	line("GraphQL", s.Project.GraphQLURL)
	line("GraphiQL", s.Project.URL+"/")
	line("Owner key", s.Tenant.Key)
	line("Admin secret", s.Project.AdminSecret)
	line("Customer's JWT", s.Tokens.Customer)
	line("Manager's JWT", s.Tokens.Manager)
	for _, c := range d.Commands() {
		fmt.Fprintf(&b, "\n  %s\n\n%s", c.Title, c.Text)
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

// Command is a shell command to try.
type Command struct{ Title, Text string }

// Commands are those that the banner shows; they work when pasted.
func (d *Demo) Commands() []Command {
	s := d.state
	customer := "Authorization: Bearer " + s.Tokens.Customer
	return []Command{
		{"A customer reads products with their reviews:", curl(s.Project.GraphQLURL,
			graphql(`{ products(limit: 3, order_by: {id: asc}) { id name price reviews(limit: 2, order_by: {id: asc}) { rating body } } }`), customer)},
		{"The customer places an order; the shop's webhook takes it, Postgres adds the rest:", curl(s.Project.GraphQLURL,
			graphql(`mutation { placeOrder(items: [{product_id: 7, quantity: 2}], note: "Hello") { order_id order { status order_items { quantity price product { name stock } } } } }`), customer)},
		{"The owner looks at the audit of that:", curl(s.PublicURL+"/api/v1/projects/"+projectSlug+"/audit?limit=3", "",
			"Authorization: Bearer "+s.Tenant.Key)},
	}
}

// graphql is the body of a GraphQL request. Its texts have no backslashes and no
// single quotes, so quoting the double ones is all that JSON and shell need.
func graphql(query string) string {
	return `{"query": "` + strings.ReplaceAll(query, `"`, `\"`) + `"}`
}

// curl writes a command over several lines; without a body it is a GET.
func curl(url, body string, headers ...string) string {
	parts := []string{"curl -s '" + url + "'"}
	for _, h := range headers {
		parts = append(parts, "-H '"+h+"'")
	}
	if body != "" {
		parts = append(parts, "-H 'Content-Type: application/json'", "-d '"+body+"'")
	}
	return "    " + strings.Join(parts, " \\\n      ") + "\n"
}
