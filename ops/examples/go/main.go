// Command main handles the action recommend. A book for a mood.
//
//	TENANTRY_SIGNING_SECRET   whsec_…, a signing secret of the project
//	TENANTRY_GRAPHQL_URL      https://…/p/{project}/v1/graphql
//	PORT                      3000 when absent
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"time"
)

// books by mood; the ids are those of the project's table.
var books = map[string]int{"curious": 1, "brave": 2, "tired": 3}

// recommend finds a book that the caller may read.
func recommend(ctx context.Context, in Arguments, call *Call) (Output, error) {
	id, ok := books[in.Mood]
	if !ok {
		return nil, &Error{Message: "no book for this mood", Extensions: map[string]any{"code": "unknown-mood"}}
	}
	// As the user who called: what that user may not read is not there.
	var data struct {
		Book *struct{ ID int } `json:"books_by_pk"`
	}
	err := call.GraphQL(ctx, `query ($id: Int!) { books_by_pk(id: $id) { id } }`, map[string]any{"id": id}, &data)
	if err != nil {
		return nil, err
	}
	if data.Book == nil {
		return nil, &Error{Message: "no book that you may read", Extensions: map[string]any{"code": "no-book"}}
	}
	return &Recommendation{BookID: id}, nil
}

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "3000"
	}
	handler := Handler(Settings{
		SigningSecret: os.Getenv("TENANTRY_SIGNING_SECRET"),
		GraphQLURL:    os.Getenv("TENANTRY_GRAPHQL_URL"),
	}, recommend)
	server := &http.Server{Addr: ":" + port, Handler: handler, ReadTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}
