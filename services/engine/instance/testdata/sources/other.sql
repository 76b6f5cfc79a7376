CREATE TABLE profiles (
  author bigint PRIMARY KEY,
  bio text,
  phone text,
  public boolean NOT NULL DEFAULT true
);
CREATE TABLE visits (
  id int PRIMARY KEY,
  author_id int,
  article_id numeric,
  country text,
  seconds int NOT NULL,
  by_user text NOT NULL DEFAULT 'u1'
);
CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL);
INSERT INTO profiles (author, bio, phone, public) VALUES (1, 'Counts', '1', true), (2, 'Sails', '2', false), (9, 'Nobody', NULL, true);
INSERT INTO visits (id, author_id, article_id, country, seconds, by_user) VALUES
  (1, 1, 10, 'GB', 30, 'u1'), (2, 1, 10, 'DE', 5, 'u2'), (3, 1, 11, 'GB', 7, 'u1'), (4, 2, 20, NULL, 1, 'u1'), (5, 1, NULL, 'GB', 12, 'u1');
INSERT INTO countries (code, name) VALUES ('GB', 'Great Britain'), ('DE', 'Germany');
