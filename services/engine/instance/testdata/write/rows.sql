TRUNCATE authors, profiles, books, reviews, nodes RESTART IDENTITY CASCADE;
INSERT INTO authors (name) VALUES ('Ada'), ('Bob');
INSERT INTO books (title, author_id, price, owner) VALUES ('Engines', 1, 5, 'ann'), ('Notes', 1, 20, 'ben'), ('Blocks', 2, 7, 'ann');
