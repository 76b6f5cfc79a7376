package demo

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// State is demo.json: what a person or a test needs to use the demo, and what
// the next start needs to find it. It holds secrets in clear, so it is written
// for its owner only and never logged.
type State struct {
	Complete    bool    `json:"complete"` // everything has been made
	PublicURL   string  `json:"public_url"`
	OperatorURL string  `json:"operator_url"`
	Tenant      Tenant  `json:"tenant"`
	Project     Project `json:"project"`
	Tokens      Tokens  `json:"tokens"`
	// Seed makes the keys of requests that must not happen twice.
	Seed string `json:"seed"`
}

// Tenant is the demo tenant with its owner's key.
type Tenant struct {
	ID   string `json:"id"`
	Slug string `json:"slug"`
	Key  string `json:"key"`
}

// Project is the shop.
type Project struct {
	ID            string `json:"id"`
	Slug          string `json:"slug"`
	URL           string `json:"url"`
	GraphQLURL    string `json:"graphql_url"`
	AdminSecret   string `json:"admin_secret"`
	SigningSecret string `json:"signing_secret"`
	JWTKey        string `json:"jwt_key"` // of HS256
}

// Tokens are JWTs for the project, made anew at every start.
type Tokens struct {
	Customer string `json:"customer"` // x-hasura-user-id 1
	Manager  string `json:"manager"`
}

// loadState reads demo.json; a missing one is a new State.
func loadState(path string) (State, error) {
	var s State
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return State{}, err
	default:
		if err := json.Unmarshal(text, &s); err != nil {
			return State{}, fmt.Errorf("%s is no JSON that this program wrote; remove it and the keys are made anew", path)
		}
	}
	if s.Seed == "" {
		s.Seed = rand.Text()
	}
	if s.Project.JWTKey == "" {
		s.Project.JWTKey = rand.Text() + rand.Text()
		s.Complete = false // the project has another key, or none
	}
	if s.Tenant.Key == "" || s.Project.AdminSecret == "" || s.Project.SigningSecret == "" {
		s.Complete = false
	}
	return s, nil
}

// point sets what depends on the run: addresses and fresh tokens.
func (s *State) point(publicURL, operatorURL string) {
	s.PublicURL, s.OperatorURL = publicURL, operatorURL
	s.Project.URL = publicURL + "/p/" + projectSlug
	s.Project.GraphQLURL = s.Project.URL + "/v1/graphql"
	expires := time.Now().Add(tokenLife)
	s.Tokens = Tokens{
		Customer: token(s.Project.JWTKey, expires, "customer", fmt.Sprint(demoCustomer)),
		Manager:  token(s.Project.JWTKey, expires, "manager", ""),
	}
}

// key is the idempotency key of one of the demo's requests.
func (s *State) key(request string) string { return "demo-" + request + "-" + s.Seed }

// saveState writes demo.json aside and moves it into place, so that a crash
// leaves the old one or the new one.
func saveState(path string, s State) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	aside, err := os.CreateTemp(filepath.Dir(path), "demo.json.*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(aside.Name()) // no longer there once moved
	_, err = aside.Write(append(text, '\n'))
	if err = errors.Join(err, aside.Sync(), aside.Close()); err != nil {
		return err
	}
	return os.Rename(aside.Name(), path)
}
