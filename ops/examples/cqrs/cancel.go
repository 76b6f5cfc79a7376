package main

import (
	"context"
	"database/sql"
)

// CancelOrder are the arguments of cancelOrder.
type CancelOrder struct {
	OrderID int `json:"order_id"`
}

// CancelledOrder names the order, and the products that are in stock again.
type CancelledOrder struct {
	OrderID  int               `json:"order_id"`
	Returned []ReturnedProduct `json:"returned"`
}

// ReturnedProduct is a product that is in stock again.
type ReturnedProduct struct {
	ProductID int `json:"product_id"`
}

// cancelOrder cancels an order of the caller that is not on its way yet.
func (s *shop) cancelOrder(ctx context.Context, in CancelOrder, call *Call) (*CancelledOrder, error) {
	// As the user who called: an order of somebody else's is not there. Whose it
	// is, the permissions of the query side say, and nothing here says it again.
	var seen struct {
		Orders []struct{ Status string } `json:"order_overview"`
	}
	err := call.GraphQL(ctx, `query ($id: Int!) { order_overview(where: {id: {_eq: $id}}) { status } }`, map[string]any{"id": in.OrderID}, &seen)
	if err != nil {
		return nil, err
	}
	if len(seen.Orders) == 0 {
		return nil, refuse("no-order", "no order of yours has this number")
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // nothing, after the commit
	// What was read may be old by now: the write looks again.
	result, err := tx.ExecContext(ctx, `UPDATE orders SET status = 'cancelled' WHERE id = $1 AND status = 'placed'`, in.OrderID)
	if err != nil {
		return nil, err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return nil, refuse("not-placed", "the order can't be cancelled any more")
	}
	returned, err := putBackIntoStock(ctx, tx, in.OrderID)
	if err != nil {
		return nil, err
	}
	return &CancelledOrder{OrderID: in.OrderID, Returned: returned}, tx.Commit()
}

// putBackIntoStock goes through the products in the order in which placeOrder does.
func putBackIntoStock(ctx context.Context, tx *sql.Tx, order int) ([]ReturnedProduct, error) {
	lines, err := linesOf(ctx, tx, order)
	if err != nil {
		return nil, err
	}
	returned := make([]ReturnedProduct, len(lines))
	for i, line := range lines {
		if _, err := tx.ExecContext(ctx, `UPDATE products SET stock = stock + $2 WHERE id = $1`, line.ProductID, line.Quantity); err != nil {
			return nil, err
		}
		returned[i].ProductID = line.ProductID
	}
	return returned, nil
}

func linesOf(ctx context.Context, tx *sql.Tx, order int) ([]OrderLine, error) {
	rows, err := tx.QueryContext(ctx, `SELECT product_id, quantity FROM order_lines WHERE order_id = $1 ORDER BY product_id`, order)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var lines []OrderLine
	for rows.Next() {
		var line OrderLine
		if err := rows.Scan(&line.ProductID, &line.Quantity); err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, rows.Err()
}
