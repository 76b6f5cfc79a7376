CREATE TABLE authors (
  id int PRIMARY KEY,
  name text,
  email text,
  country char(2),
  boss_id int REFERENCES authors
);
CREATE TABLE articles (
  id bigint PRIMARY KEY,
  author_id int NOT NULL REFERENCES authors,
  title text NOT NULL,
  facts jsonb
);
CREATE FUNCTION named(called text) RETURNS SETOF authors LANGUAGE sql STABLE AS $$ SELECT * FROM authors WHERE name = called $$;
CREATE FUNCTION hire(called text) RETURNS SETOF authors LANGUAGE sql VOLATILE AS $$
  INSERT INTO authors (id, name, country) SELECT max(id) + 1, called, 'DE' FROM authors RETURNING * $$;
