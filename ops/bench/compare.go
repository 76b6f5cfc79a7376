package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
)

// compareBodies asks both contestants for the same ids and demands the same JSON,
// but for the ids that Q7 generates.
func compareBodies(q query, ours, floors string, ourRequests, floorRequests [][]byte) error {
	a, err := newAsker(ours)
	if err != nil {
		return err
	}
	defer a.close()
	b, err := newAsker(floors)
	if err != nil {
		return err
	}
	defer b.close()
	for i := range ourRequests {
		got, err := a.ask(ourRequests[i])
		if err != nil {
			return fmt.Errorf("%s, Tenantry: %w", q.name, err)
		}
		want, err := b.ask(floorRequests[i])
		if err != nil {
			return fmt.Errorf("%s, floor: %w", q.name, err)
		}
		same, err := sameAnswer(q, got, want)
		if err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		if !same {
			return fmt.Errorf("%s: the answers to request %d differ\nTenantry %.1500s\nfloor    %.1500s", q.name, i, got, want)
		}
	}
	return nil
}

// sameAnswer compares JSON; numbers have to be spelt alike.
func sameAnswer(q query, got, want []byte) (bool, error) {
	var values [2]any
	for i, text := range [][]byte{got, want} {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&values[i]); err != nil {
			return false, fmt.Errorf("%w in %.200s", err, text)
		}
		if q.name == "Q7" {
			if err := dropGenerated(values[i]); err != nil {
				return false, fmt.Errorf("%w in %.200s", err, text)
			}
		}
	}
	return reflect.DeepEqual(values[0], values[1]), nil
}

// dropGenerated takes the generated id out of an answer to Q7.
func dropGenerated(answer any) error {
	document, _ := answer.(map[string]any)
	data, _ := document["data"].(map[string]any)
	row, _ := data["insert_comments_one"].(map[string]any)
	if _, ok := row["id"].(json.Number); !ok {
		return fmt.Errorf("no generated id")
	}
	delete(row, "id")
	return nil
}

// asker sends prepared requests one after the other.
type asker struct {
	conn net.Conn
	in   *bufio.Reader
}

func newAsker(address string) (*asker, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &asker{conn, bufio.NewReader(conn)}, nil
}

func (a *asker) close() { _ = a.conn.Close() }

// ask returns the body of a 200 without errors.
func (a *asker) ask(request []byte) ([]byte, error) {
	if _, err := a.conn.Write(request); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(a.in, nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK || strings.HasPrefix(string(body), string(errorsMember)) {
		return nil, fmt.Errorf("answered %s: %.600s", response.Status, body)
	}
	return body, nil
}
