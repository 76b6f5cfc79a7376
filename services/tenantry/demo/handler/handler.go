// Package handler is the demo tenant's own program: the webhook behind its
// action placeOrder. It runs as a process of its own, as any tenant's handler
// does, and knows nothing of the engine but the payload and the signature.
package handler

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tenantry/api/webhook"
)

const (
	bodyLimit = 1 << 20
	// tolerance is how old or early a signed call may be.
	tolerance = 5 * time.Minute
	maxItems  = 100
)

// refusal is what a client may know: HTTP 400 with a message and a code.
type refusal struct{ code, message string }

func (r *refusal) Error() string { return r.message }

// item is one element of the action's argument.
type item struct {
	ProductID int32 `json:"product_id"`
	Quantity  int32 `json:"quantity"`
}

// order is what a checked call asks for.
type order struct {
	call     string // the delivery's id: the same call again makes no second order
	customer int32
	items    []item
	note     *string
}

// shop places orders; *database is the real one.
type shop interface {
	place(ctx context.Context, o order) (id int32, err error)
}

// newHandler answers calls that the key has signed.
func newHandler(key []byte, s shop, logger *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /place-order", func(w http.ResponseWriter, r *http.Request) {
		id, err := placeOrder(r, key, s)
		var refused *refusal
		switch {
		case err == nil:
			answer(w, http.StatusOK, map[string]any{"order_id": id})
		case errors.As(err, &refused):
			answer(w, http.StatusBadRequest, map[string]any{
				"message": refused.message, "extensions": map[string]any{"code": refused.code},
			})
		case errors.Is(err, errSignature):
			answer(w, http.StatusUnauthorized, map[string]any{"message": err.Error()})
		default:
			logger.Error("an order could not be placed", "error", err)
			answer(w, http.StatusInternalServerError, map[string]any{"message": "the shop is out of order"})
		}
	})
	return mux
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // who asked may be gone
}

// placeOrder is the way of one call: verify, read, place.
func placeOrder(r *http.Request, key []byte, s shop) (int32, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyLimit+1))
	if err != nil {
		return 0, err
	}
	if len(body) > bodyLimit {
		return 0, &refusal{"too-large", "the order is too large"}
	}
	if err := verify(r.Header, key, body, time.Now()); err != nil {
		return 0, err
	}
	o, err := readOrder(body)
	if err != nil {
		return 0, err
	}
	o.call = r.Header.Get(webhook.HeaderID)
	return s.place(r.Context(), o)
}

var errSignature = errors.New("the call is not signed with the project's secret")

// verify checks the signature as the Standard Webhooks specification says.
func verify(h http.Header, key, body []byte, now time.Time) error {
	id := h.Get(webhook.HeaderID)
	seconds, err := strconv.ParseInt(h.Get(webhook.HeaderTimestamp), 10, 64)
	if err != nil || id == "" {
		return errSignature
	}
	at := time.Unix(seconds, 0)
	if age := now.Sub(at); age > tolerance || age < -tolerance {
		return errSignature
	}
	want := []byte(webhook.Sign([][]byte{key}, id, at, body))
	for signature := range strings.FieldsSeq(h.Get(webhook.HeaderSignature)) {
		if subtle.ConstantTimeCompare([]byte(signature), want) == 1 {
			return nil
		}
	}
	return errSignature
}

// readOrder reads the payload. The engine has checked the input's types; what
// an order means is checked here.
func readOrder(body []byte) (order, error) {
	var payload struct {
		Input struct {
			Items []item  `json:"items"`
			Note  *string `json:"note"`
		} `json:"input"`
		Session map[string]string `json:"session_variables"`
	}
	if err := json.Unmarshal(body, &payload); err != nil {
		return order{}, &refusal{"bad-payload", "the payload is not that of placeOrder"}
	}
	customer, err := strconv.ParseInt(payload.Session["x-hasura-user-id"], 10, 32)
	if err != nil {
		return order{}, &refusal{"no-customer", "only a customer can order: x-hasura-user-id names one"}
	}
	o := order{customer: int32(customer), note: payload.Input.Note}
	if n := len(payload.Input.Items); n == 0 || n > maxItems {
		return order{}, &refusal{"bad-items", fmt.Sprintf("expected 1 to %d items", maxItems)}
	}
	at := map[int32]int{}
	for _, it := range payload.Input.Items {
		if it.Quantity < 1 || it.Quantity > 1000 {
			return order{}, &refusal{"bad-quantity", fmt.Sprintf("expected a quantity from 1 to 1000 of product %d", it.ProductID)}
		}
		if i, seen := at[it.ProductID]; seen {
			o.items[i].Quantity += it.Quantity
			continue
		}
		at[it.ProductID] = len(o.items)
		o.items = append(o.items, it)
	}
	return o, nil
}
