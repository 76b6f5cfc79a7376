TRUNCATE authors, articles, comments, accounts, "odd ""table"" ñ 名前" RESTART IDENTITY CASCADE;
INSERT INTO authors (id, name, email, born, rating, active, profile, tags, mood, boss_id) OVERRIDING SYSTEM VALUE VALUES
  (1, 'Ada', 'ada@example.org', '1815-12-10', 4.50, true, '{"lang": ["en", "fr"], "city": "London"}', '{math,"two words"}', 'happy', NULL),
  (2, 'Bob', NULL, NULL, 3, true, '{"lang": ["de"]}', '{}', 'sad', 1),
  (3, 'Çelik', 'c@example.org', '1990-02-28', NULL, false, NULL, NULL, NULL, 1),
  (4, 'dora', 'dora@example.org', '2001-01-01', 12345678901234567890.123, true, '[]', '{NULL,""}', 'ok', 2);
SELECT setval('authors_id_seq', 100);
INSERT INTO articles (id, author_id, title, published_at, price, meta, scores, position) VALUES
  (10, 1, 'Engines', '2020-01-02 03:04:05+00', 10.00, '{"b": 1,  "a": [2]}', '{1,2,3}', 2),
  (11, 1, 'Notes', NULL, NULL, NULL, NULL, 1),
  (12, 2, 'Blocks', '2021-06-07 08:09:10.5+00', 0.99, '"text"', '{}', 1),
  (9007199254740993, 4, 'Big "quoted" \ back', '2022-01-01 00:00:00+00', 5, 'null', '{7}', 3);
INSERT INTO comments (id, article_id, author_id, text) VALUES
  ('00000000-0000-0000-0000-000000000001', 10, 2, 'first'),
  ('00000000-0000-0000-0000-000000000002', 10, NULL, 'second 100%_sure'),
  ('00000000-0000-0000-0000-000000000003', 12, 1, 'third <b>&</b>');
INSERT INTO accounts (id, owner, balance, note) VALUES (1, 'ann', 100, 'a1'), (2, 'ann', 50, NULL), (3, 'ben', 7, 'b1'), (4, 'eve', 0, 'e1'), (5, 'ann', 5, 'a2');
INSERT INTO "odd ""table"" ñ 名前" VALUES (1, 'one', 'keyword', 'row'), (2, NULL, 'x', 'y');
