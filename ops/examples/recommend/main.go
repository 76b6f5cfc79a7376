// Command recommend is the smallest action handler: a webhook that answers with
// the id of a book. Tenantry checks the request against the action's contract
// before it comes here, and joins the answer with the project's Postgres after.
//
//	go run ./ops/examples/recommend 127.0.0.1:9090
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"
	"time"
)

// books by mood; the ids are those of the project's table.
var books = map[string]int{"curious": 1, "brave": 2, "tired": 3}

func main() {
	address := "127.0.0.1:9090"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	server := &http.Server{Addr: address, Handler: http.HandlerFunc(recommend), ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}

func recommend(w http.ResponseWriter, r *http.Request) {
	var call struct {
		Input struct {
			Mood string `json:"mood"`
		} `json:"input"`
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		http.Error(w, `{"message":"the payload is not JSON"}`, http.StatusBadRequest)
		return
	}
	id, ok := books[call.Input.Mood]
	if !ok {
		// A 4xx with a message goes to the client as it is.
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"message":"no book for this mood","extensions":{"code":"unknown-mood"}}`))
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]int{"book_id": id})
}
