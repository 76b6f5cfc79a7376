// Command cqrs handles the commands of a small shop, placeOrder and cancelOrder.
// What is read is for Tenantry: queries, and the answers of these commands, which
// are joined with the shop's Postgres after the handler has committed.
//
//	go run ./ops/examples/cqrs -create-tables
//	go run ./ops/examples/cqrs -listen 127.0.0.1:9095
//
//	DATABASE_URL              postgres://…, the project's own database
//	TENANTRY_SIGNING_SECRET   whsec_…, a signing secret of the project
//	TENANTRY_GRAPHQL_URL      https://…/p/{project}/v1/graphql
package main

import (
	"database/sql"
	_ "embed"
	"flag"
	"log"
	"net/http"
	"os"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver
)

//go:embed schema.sql
var schema string

// shop handles the commands.
type shop struct{ db *sql.DB }

func main() {
	createTables := flag.Bool("create-tables", false, "create the tables, with three products, and end")
	listen := flag.String("listen", "127.0.0.1:9095", "address of the handlers")
	flag.Parse()
	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal("DATABASE_URL: ", err)
	}
	if *createTables {
		if _, err := db.Exec(schema); err != nil {
			log.Fatal(err)
		}
		return
	}
	db.SetMaxOpenConns(10)
	settings := Settings{
		SigningSecret: os.Getenv("TENANTRY_SIGNING_SECRET"),
		GraphQLURL:    os.Getenv("TENANTRY_GRAPHQL_URL"),
	}
	s := &shop{db: db}
	commands := http.NewServeMux()
	commands.Handle("POST /place-order", Handler(settings, s.placeOrder))
	commands.Handle("POST /cancel-order", Handler(settings, s.cancelOrder))
	server := &http.Server{Addr: *listen, Handler: commands, ReadTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// refuse is an error that the client sees.
func refuse(code, message string) *Error {
	return &Error{Message: message, Extensions: map[string]any{"code": code}}
}
