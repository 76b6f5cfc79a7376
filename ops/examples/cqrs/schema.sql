-- What commands write. Nobody reaches these tables through GraphQL but for what
-- the queries' metadata says.

CREATE TABLE products (
    id    integer PRIMARY KEY,
    name  text NOT NULL,
    price numeric(10, 2) NOT NULL CHECK (price >= 0),
    stock integer NOT NULL CHECK (stock >= 0)
);

CREATE TABLE orders (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id integer NOT NULL,
    status      text NOT NULL DEFAULT 'placed' CHECK (status IN ('placed', 'shipped', 'cancelled')),
    call_id     text NOT NULL UNIQUE -- the delivery that placed it: the same one again places no second order
);

CREATE TABLE order_lines (
    order_id   integer NOT NULL REFERENCES orders,
    product_id integer NOT NULL REFERENCES products,
    quantity   integer NOT NULL CHECK (quantity > 0),
    price      numeric(10, 2) NOT NULL,
    PRIMARY KEY (order_id, product_id)
);

-- What queries read of an order.
CREATE VIEW order_overview AS
SELECT o.id, o.customer_id, o.status, count(*)::integer AS lines, sum(l.quantity * l.price) AS total
FROM orders AS o
JOIN order_lines AS l ON l.order_id = o.id
GROUP BY o.id;

INSERT INTO products (id, name, price, stock) VALUES
    (1, 'Lamp', 40.00, 10),
    (2, 'Mug', 7.50, 100),
    (3, 'Chair', 120.00, 1);
