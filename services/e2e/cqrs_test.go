package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/api/webhook"
)

// shop is the example of ops/examples/cqrs as its guide has made it.
type shop struct {
	*project
	handlers, signingSecret string
}

// TestTheGuideToCommandsAndQueriesIsTrue does what ops/docs/cqrs.md says, in one
// shell, with a Postgres of the shop's own; then it does to the shop what happens
// in earnest.
func TestTheGuideToCommandsAndQueriesIsTrue(t *testing.T) {
	t.Parallel()
	s := followTheGuide(t)
	t.Run("the handlers take signed calls alone", func(t *testing.T) {
		refusesWhatIsNotSigned(t, s.handlers+"/place-order", s.signingSecret)
		must(t, http.StatusUnauthorized, http.MethodPost, s.handlers+"/cancel-order", nil, `{"input":{"order_id":1}}`)
	})
	t.Run("a customer writes by commands alone", func(t *testing.T) {
		a := data(t, s.url("/v1/graphql"), s.customer("7"), `{ __schema { mutationType { fields { name } } queryType { fields { name } } } }`, nil)
		if got := fmt.Sprint(a.at("data", "__schema", "mutationType", "fields")); got != "[map[name:cancelOrder] map[name:placeOrder]]" {
			t.Errorf("mutations: %s", got)
		}
		if strings.Contains(a.Text, `"orders`) {
			t.Errorf("the table of the commands can be asked for: %s", a.Text)
		}
	})
	t.Run("the last pieces are sold once", s.sellsTheLastPiecesOnce)
	t.Run("the same delivery places one order", s.placesOneOrderPerDelivery)
	t.Run("what runs ahead of a failure stays, tables too", s.keepsWhatRanBefore)
}

// followTheGuide executes the page: its commands in one shell, its excerpts by
// finding them in the files that run.
func followTheGuide(t *testing.T) *shop {
	t.Helper()
	const page = "ops/docs/cqrs.md"
	blocks, err := fencedBlocks(readFile(t, page), []string{"step", "background", "answer", "from "})
	if err != nil {
		t.Fatal(page, ": ", err)
	}
	server := shared(t)
	handlers := "127.0.0.1:" + freePort(t)
	replace := strings.NewReplacer("http://localhost:8080", server.PublicURL, "127.0.0.1:9095", handlers,
		"postgres://shop:secret@localhost:5432/shop", newTenantPostgres(t).url("postgres").String())
	shell := startShell(t, page, root(t))
	var printed []any // by the step before, and not compared yet
	ran := map[string]int{}
	for i, b := range blocks {
		marker, file, _ := strings.Cut(b.marker, " ")
		ran[marker]++
		switch marker {
		case "step":
			printed = documents(shell.run(t, b.line, replace.Replace(b.text)))
			if i+1 < len(blocks) && blocks[i+1].marker == "answer" {
				continue // which tells what is refused
			}
			for _, document := range printed {
				if refused(document) {
					t.Errorf("%s, line %d: a command was refused: %v", page, b.line, document)
				}
			}
		case "background":
			exported := shell.run(t, b.line, "env | grep -E '^(DATABASE_URL|TENANTRY_[A-Z_]*)='")
			startBackground(t, replace.Replace(b.text), strings.Fields(exported)...)
			waitForPort(t, handlers)
		case "answer":
			if want := documents(b.text); len(want) != len(strings.Split(strings.TrimSpace(b.text), "\n")) || !reflect.DeepEqual(printed, want) {
				got, _ := json.Marshal(printed)
				t.Errorf("%s, line %d: expected %s, got %s", page, b.line, b.text, got)
			}
		case "from":
			if !strings.Contains(readFile(t, "ops/examples/cqrs", file), b.text) {
				t.Errorf("%s, line %d: %s does not have this", page, b.line, file)
			}
		}
	}
	for _, least := range []struct {
		marker string
		blocks int
	}{{"step", 10}, {"background", 1}, {"answer", 7}, {"from", 8}} {
		if ran[least.marker] < least.blocks {
			t.Errorf("%s has %d blocks %q: the test proves less than it seems", page, ran[least.marker], least.marker)
		}
	}
	words := strings.Fields(shell.run(t, 0, `echo "$PROJECT" "$KEY" "$SECRET" "$TENANTRY_SIGNING_SECRET"`))
	if len(words) != 4 {
		t.Fatalf("the guide leaves %q", words)
	}
	shell.close(t)
	p := &project{t: t, s: server, Slug: words[0], owner: bearer(words[1]), admin: headers{"X-Hasura-Admin-Secret": words[2]}}
	return &shop{p, "http://" + handlers, words[3]}
}

func (s *shop) customer(id string) headers { return s.as("customer", "X-Hasura-User-Id", id) }

// offer puts a new product into the shop.
func (s *shop) offer(id, stock int) {
	s.t.Helper()
	s.sql(fmt.Sprintf(`INSERT INTO products VALUES (%d, 'Product %[1]d', 1, %d)`, id, stock))
}

func (s *shop) sellsTheLastPiecesOnce(t *testing.T) {
	const stock, customers = 5, 12
	s.offer(10, stock)
	s.offer(11, 1000)
	var wait sync.WaitGroup
	answers := make([]answer, customers)
	for i := range answers {
		// Half of them name the products in the other order.
		lines := []string{`{product_id: 10, quantity: 1}`, `{product_id: 11, quantity: 1}`}
		if i%2 == 1 {
			lines[0], lines[1] = lines[1], lines[0]
		}
		wait.Go(func() {
			answers[i] = s.ask(s.customer(fmt.Sprint(100+i)), fmt.Sprintf(`mutation { placeOrder(lines: [%s, %s]) { order { total } } }`, lines[0], lines[1]))
		})
	}
	wait.Wait()
	placed := 0
	for _, a := range answers {
		if a.at("data", "placeOrder", "order", "total") == 2.0 {
			placed++
			continue
		}
		refusal{"sold-out", "=not enough of product 10"}.check(t, a)
	}
	a := data(t, s.url("/v1/graphql"), s.customer("1"), `{ products(where: {id: {_in: [10, 11]}}, order_by: {id: asc}) { stock } }`, nil)
	if got := fmt.Sprint(placed, a.at("data", "products")); got != fmt.Sprintf("%d [map[stock:0] map[stock:%d]]", stock, 1000-stock) {
		t.Errorf("of %d pieces: %s", stock, got)
	}
}

func (s *shop) placesOneOrderPerDelivery(t *testing.T) {
	s.offer(20, 100)
	key, err := webhook.Key(s.signingSecret)
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"action":{"name":"placeOrder"},"input":{"lines":[{"product_id":20,"quantity":1}]},"session_variables":{"x-hasura-role":"customer","x-hasura-user-id":"20"},"request_query":""}`
	var wait sync.WaitGroup
	orders := make([]answer, 8)
	for i := range orders {
		wait.Go(func() {
			now := time.Now()
			orders[i] = send(t, http.MethodPost, s.handlers+"/place-order", headers{
				"webhook-id": "msg_same", "webhook-timestamp": fmt.Sprint(now.Unix()), "webhook-signature": webhook.Sign([][]byte{key}, "msg_same", now, []byte(body)),
			}, body)
		})
	}
	wait.Wait()
	for _, a := range orders {
		if a.Status != http.StatusOK || a.at("order_id") == nil || a.at("order_id") != orders[0].at("order_id") {
			t.Errorf("%d %s, the first was %s", a.Status, a.Text, orders[0].Text)
		}
	}
	a := data(t, s.url("/v1/graphql"), s.customer("20"), `{ order_overview { id } products_by_pk(id: 20) { stock } }`, nil)
	if len(list(a, "data", "order_overview")) != 1 || a.at("data", "products_by_pk", "stock") != 99.0 {
		t.Errorf("after eight deliveries of one call: %s", a.Text)
	}
}

// keepsWhatRanBefore mixes commands with fields of tables, which admins may write.
func (s *shop) keepsWhatRanBefore(t *testing.T) {
	s.offer(30, 1)
	as := s.as("admin", "X-Hasura-User-Id", "30")
	table := func(alias string, id int) string {
		return fmt.Sprintf(`%s: insert_products_one(object: {id: %d, name: "New", price: 1, stock: 0}) { id }`, alias, id)
	}
	const order = `placeOrder(lines: [{product_id: 30, quantity: 1}]) { order_id }`
	a := s.ask(as, `mutation { `+table("a", 31)+` b: `+order+` `+table("c", 32)+` d: `+order+` `+table("e", 33)+` }`)
	refusal{"sold-out", "=not enough of product 30"}.check(t, a)
	found := data(t, s.url("/v1/graphql"), as, `{ products(where: {id: {_gte: 30, _lt: 40}}, order_by: {id: asc}) { id stock } }`, nil)
	// Fields of tables between two commands are a transaction: c is done before d.
	if got := fmt.Sprint(found.at("data", "products")); got != "[map[id:30 stock:0] map[id:31 stock:0] map[id:32 stock:0]]" {
		t.Errorf("after a failure of the fourth field: %s", got)
	}
}
