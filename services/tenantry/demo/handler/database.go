package handler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// database is the shop's Postgres, the same one that the engine reads.
type database struct{ pool *pgxpool.Pool }

func openDatabase(ctx context.Context, url string) (*database, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the database's URL cannot be read")
	}
	config.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &database{pool}, nil
}

// place takes the goods from stock and writes the order, all or nothing.
func (d *database) place(ctx context.Context, o order) (id int32, err error) {
	err = pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `SELECT id FROM orders WHERE call_id = $1`, o.call).Scan(&id)
		if err == nil || !errors.Is(err, pgx.ErrNoRows) {
			return err // placed before, by the same call
		}
		prices, err := takeFromStock(ctx, tx, o.items)
		if err != nil {
			return err
		}
		id, err = writeOrder(ctx, tx, o, prices)
		return err
	})
	return id, err
}

// takeFromStock locks products in the order of their ids, so that two orders
// never wait for each other, and returns their prices.
func takeFromStock(ctx context.Context, tx pgx.Tx, items []item) (map[int32]string, error) {
	sorted := slices.SortedFunc(slices.Values(items), func(a, b item) int { return cmp.Compare(a.ProductID, b.ProductID) })
	prices := map[int32]string{}
	for _, it := range sorted {
		var price, name string
		var stock int32
		err := tx.QueryRow(ctx, `SELECT name, price::text, stock FROM products WHERE id = $1 FOR UPDATE`, it.ProductID).Scan(&name, &price, &stock)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, &refusal{"unknown-product", fmt.Sprintf("there is no product %d", it.ProductID)}
		}
		if err != nil {
			return nil, err
		}
		if stock < it.Quantity {
			return nil, &refusal{"out-of-stock", fmt.Sprintf("%d of %s (product %d) are in stock, %d were ordered", stock, name, it.ProductID, it.Quantity)}
		}
		if _, err := tx.Exec(ctx, `UPDATE products SET stock = stock - $2 WHERE id = $1`, it.ProductID, it.Quantity); err != nil {
			return nil, err
		}
		prices[it.ProductID] = price
	}
	return prices, nil
}

func writeOrder(ctx context.Context, tx pgx.Tx, o order, prices map[int32]string) (id int32, err error) {
	err = tx.QueryRow(ctx, `
		INSERT INTO orders (customer_id, note, call_id)
		SELECT id, $2, $3 FROM customers WHERE id = $1 RETURNING id`, o.customer, o.note, o.call).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, &refusal{"no-customer", fmt.Sprintf("there is no customer %d", o.customer)}
	}
	if err != nil {
		return 0, err
	}
	batch := &pgx.Batch{}
	for _, it := range o.items {
		batch.Queue(`INSERT INTO order_items (order_id, product_id, quantity, price) VALUES ($1, $2, $3, $4::text::numeric)`,
			id, it.ProductID, it.Quantity, prices[it.ProductID])
	}
	return id, tx.SendBatch(ctx, batch).Close()
}
