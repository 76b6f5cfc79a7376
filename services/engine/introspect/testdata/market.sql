-- The database of the model's and access' tests.
CREATE SCHEMA billing;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN positive AS int8 CHECK (VALUE > 0);
CREATE DOMAIN labels AS text[];
CREATE TABLE customer (id uuid PRIMARY KEY, name text NOT NULL, email varchar(200) UNIQUE, mood mood, "shoe size" int2, profile jsonb, seen timestamptz);
CREATE TABLE product (id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text NOT NULL, price numeric(10, 2) NOT NULL, stock positive, tags labels, codes int4[], raw json,
  upper_title text GENERATED ALWAYS AS (upper(title)) STORED);
CREATE TABLE orders (id uuid PRIMARY KEY, customer_id uuid NOT NULL REFERENCES customer, billed_to uuid REFERENCES customer, total numeric, active bool);
CREATE TABLE order_item (order_id uuid REFERENCES orders, product_id int8 REFERENCES product, quantity int4 NOT NULL, PRIMARY KEY (order_id, product_id));
CREATE TABLE category (id int4 PRIMARY KEY, parent_id int4 REFERENCES category);
CREATE TABLE billing.invoice (id int4 PRIMARY KEY, order_id uuid UNIQUE NOT NULL REFERENCES orders);
CREATE TABLE "users address" (id int4 PRIMARY KEY);
CREATE VIEW totals AS SELECT customer_id, sum(total) AS total FROM orders GROUP BY customer_id;
