package handler

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/api/webhook"
	"tenantry/ops/postgres/pgtest"
)

var testKey = []byte("0123456789abcdef0123456789abcdef")

// shopServer is the handler on a fresh shop.
func shopServer(t *testing.T) (*database, string) {
	t.Helper()
	db, err := openDatabase(t.Context(), pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.pool.Close)
	sql, err := os.ReadFile("../shop.sql")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.pool.Exec(t.Context(), string(sql)); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(newHandler(testKey, db, slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	return db, server.URL + "/place-order"
}

// call sends a payload as the engine does.
func call(t *testing.T, url, id string, at time.Time, key []byte, body string) (int, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set(webhook.HeaderID, id)
	request.Header.Set(webhook.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	request.Header.Set(webhook.HeaderSignature, "v1,AAAA "+webhook.Sign([][]byte{key}, id, at, []byte(body)))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

func payload(user, items string) string {
	return fmt.Sprintf(`{"action":{"name":"placeOrder"},"input":{"items":%s,"note":"hello"},"session_variables":{"x-hasura-role":"customer","x-hasura-user-id":%q},"request_query":""}`, items, user)
}

func number(t *testing.T, db *database, sql string) (n int) {
	t.Helper()
	if err := db.pool.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAnOrderTakesStockAndIsWrittenOnceHoweverOftenItIsDelivered(t *testing.T) {
	t.Parallel()
	db, url := shopServer(t)
	before := number(t, db, `SELECT stock FROM products WHERE id = 7`)
	body := payload("1", `[{"product_id":7,"quantity":2},{"product_id":8,"quantity":1},{"product_id":7,"quantity":1}]`)
	var first any
	for i := range 2 {
		status, answer := call(t, url, "msg_1", time.Now(), testKey, body)
		if status != 200 || answer["order_id"] == nil {
			t.Fatalf("delivery %d: %d %v", i+1, status, answer)
		}
		if first == nil {
			first = answer["order_id"]
		} else if first != answer["order_id"] {
			t.Errorf("the second delivery made order %v, the first %v", answer["order_id"], first)
		}
	}
	if after := number(t, db, `SELECT stock FROM products WHERE id = 7`); after != before-3 {
		t.Errorf("stock %d, expected %d", after, before-3)
	}
	if n := number(t, db, `SELECT count(*) FROM orders WHERE call_id = 'msg_1' AND customer_id = 1 AND note = 'hello'`); n != 1 {
		t.Errorf("%d orders", n)
	}
	if n := number(t, db, `SELECT sum(quantity) FROM order_items JOIN orders ON id = order_id JOIN products p ON p.id = product_id WHERE call_id = 'msg_1' AND order_items.price = p.price`); n != 4 {
		t.Errorf("%d pieces at the product's price", n)
	}
}

func TestRefusedOrdersChangeNothing(t *testing.T) {
	t.Parallel()
	db, url := shopServer(t)
	const sum = `SELECT sum(stock) + (SELECT count(*) FROM orders) * 1000000 FROM products`
	before := number(t, db, sum)
	for name, c := range map[string]struct {
		user, items string
		code        string
	}{
		"nothing in stock":   {"1", `[{"product_id":1,"quantity":1},{"product_id":25,"quantity":1}]`, "out-of-stock"},
		"too few in stock":   {"1", `[{"product_id":1,"quantity":999},{"product_id":1,"quantity":999}]`, "out-of-stock"},
		"no such product":    {"1", `[{"product_id":1,"quantity":1},{"product_id":100000,"quantity":1}]`, "unknown-product"},
		"no such customer":   {"100000", `[{"product_id":1,"quantity":1}]`, "no-customer"},
		"no customer at all": {"", `[{"product_id":1,"quantity":1}]`, "no-customer"},
		"no items":           {"1", `[]`, "bad-items"},
		"a negative number":  {"1", `[{"product_id":1,"quantity":-5}]`, "bad-quantity"},
	} {
		status, answer := call(t, url, "msg_"+name, time.Now(), testKey, payload(c.user, c.items))
		extensions, _ := answer["extensions"].(map[string]any)
		if status != 400 || extensions["code"] != c.code || answer["message"] == "" {
			t.Errorf("%s: %d %v, expected 400 %s", name, status, answer, c.code)
		}
	}
	if after := number(t, db, sum); after != before {
		t.Errorf("stock and orders changed: %d, before %d", after, before)
	}
}

func TestOnlySignedAndFreshCallsAreTaken(t *testing.T) {
	t.Parallel()
	db, url := shopServer(t)
	body := payload("1", `[{"product_id":7,"quantity":2}]`)
	now := time.Now()
	for name, c := range map[string]struct {
		at  time.Time
		key []byte
	}{
		"another key": {now, []byte("another key, as long as the first")},
		"an old call": {now.Add(-time.Hour), testKey},
		"from future": {now.Add(time.Hour), testKey},
	} {
		if status, answer := call(t, url, "msg_x", c.at, c.key, body); status != 401 {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	response, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 401 {
		t.Errorf("unsigned: %d", response.StatusCode)
	}
	if n := number(t, db, `SELECT count(*) FROM orders WHERE call_id IS NOT NULL`); n != 0 {
		t.Errorf("%d orders were placed", n)
	}
}

func TestOrdersForTheSameProductsAtOnceSellNoMoreThanThereIs(t *testing.T) {
	t.Parallel()
	db, url := shopServer(t)
	if _, err := db.pool.Exec(t.Context(), `UPDATE products SET stock = 5 WHERE id IN (1, 2)`); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	statuses := make([]int, 10)
	for i := range statuses {
		items := `[{"product_id":1,"quantity":1},{"product_id":2,"quantity":1}]`
		if i%2 == 1 {
			items = `[{"product_id":2,"quantity":1},{"product_id":1,"quantity":1}]`
		}
		wg.Go(func() {
			statuses[i], _ = call(t, url, fmt.Sprint("msg_", i), time.Now(), testKey, payload("1", items))
		})
	}
	wg.Wait()
	counts := map[int]int{}
	for _, s := range statuses {
		counts[s]++
	}
	if counts[200] != 5 || counts[400] != 5 {
		t.Errorf("answers %v", counts)
	}
}

func TestTheShopHasAFewThousandRowsThatAreAlwaysTheSame(t *testing.T) {
	t.Parallel()
	db, _ := shopServer(t)
	for table, want := range map[string]int{"customers": 500, "products": 200, "orders": 2000, "order_items": 4000, "reviews": 1500} {
		if n := number(t, db, `SELECT count(*) FROM `+table); n < want || n > want*11/10 {
			t.Errorf("%d %s, expected about %d", n, table, want)
		}
	}
	if n := number(t, db, `SELECT count(*) FROM products p WHERE NOT EXISTS (SELECT FROM reviews WHERE product_id = p.id)`); n != 0 {
		t.Errorf("%d products without a review", n)
	}
}

func TestTheHandlerSaysWhereItListensAndEndsWithItsStdin(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	stdin, toHandler := io.Pipe()
	fromHandler, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, stdin, stdout, io.Discard) }()
	config := Config{DatabaseURL: pgtest.Database(t), SigningSecret: webhook.SecretPrefix + base64.StdEncoding.EncodeToString(testKey), Listen: "127.0.0.1:0"}
	if err := json.NewEncoder(toHandler).Encode(config); err != nil {
		t.Fatal(err)
	}
	var ready Ready
	if err := json.NewDecoder(fromHandler).Decode(&ready); err != nil {
		t.Fatal(err)
	}
	response, err := http.Get("http://" + ready.Address + "/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	toHandler.Close()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}
