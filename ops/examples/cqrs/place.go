package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// PlaceOrder are the arguments of placeOrder.
type PlaceOrder struct {
	Lines []OrderLine `json:"lines"`
}

// OrderLine is one product of an order.
type OrderLine struct {
	ProductID int `json:"product_id"`
	Quantity  int `json:"quantity"`
}

// PlacedOrder is all that the command answers: what the client wants to see of
// the order is joined.
type PlacedOrder struct {
	OrderID int `json:"order_id"`
}

// placeOrder takes the products out of the stock and writes the order, or does
// neither.
func (s *shop) placeOrder(ctx context.Context, in PlaceOrder, call *Call) (*PlacedOrder, error) {
	customer, err := strconv.Atoi(call.Session["x-hasura-user-id"])
	if err != nil {
		return nil, refuse("no-customer", "only a customer can order")
	}
	if len(in.Lines) == 0 || len(in.Lines) > 100 {
		return nil, refuse("bad-lines", "expected 1 to 100 lines")
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // nothing, after the commit
	var order int
	err = tx.QueryRowContext(ctx, `INSERT INTO orders (customer_id, call_id) VALUES ($1, $2)
		ON CONFLICT (call_id) DO NOTHING RETURNING id`, customer, call.ID).Scan(&order)
	if errors.Is(err, sql.ErrNoRows) { // this delivery has come before
		err = tx.QueryRowContext(ctx, `SELECT id FROM orders WHERE call_id = $1`, call.ID).Scan(&order)
		return &PlacedOrder{OrderID: order}, err
	}
	if err != nil {
		return nil, err
	}
	for _, line := range inOrder(in.Lines) {
		if err := takeFromStock(ctx, tx, order, line); err != nil {
			return nil, err
		}
	}
	return &PlacedOrder{OrderID: order}, tx.Commit()
}

// inOrder sorts by product: two orders of the same products never wait for each
// other in a circle.
func inOrder(lines []OrderLine) []OrderLine {
	return slices.SortedFunc(slices.Values(lines), func(a, b OrderLine) int { return cmp.Compare(a.ProductID, b.ProductID) })
}

// takeFromStock checks and takes in one statement, so that nobody comes between.
func takeFromStock(ctx context.Context, tx *sql.Tx, order int, line OrderLine) error {
	if line.Quantity < 1 || line.Quantity > 1000 {
		return refuse("bad-quantity", fmt.Sprintf("expected a quantity from 1 to 1000 of product %d", line.ProductID))
	}
	var price string
	err := tx.QueryRowContext(ctx, `UPDATE products SET stock = stock - $2 WHERE id = $1 AND stock >= $2 RETURNING price`,
		line.ProductID, line.Quantity).Scan(&price)
	if errors.Is(err, sql.ErrNoRows) {
		return refuse("sold-out", fmt.Sprintf("not enough of product %d", line.ProductID))
	}
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO order_lines (order_id, product_id, quantity, price) VALUES ($1, $2, $3, $4)
		ON CONFLICT (order_id, product_id) DO UPDATE SET quantity = order_lines.quantity + excluded.quantity`,
		order, line.ProductID, line.Quantity, price)
	return err
}
