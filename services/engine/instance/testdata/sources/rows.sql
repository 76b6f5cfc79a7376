TRUNCATE authors, articles;
INSERT INTO authors (id, name, email, country, boss_id) VALUES
  (1, 'Ada', 'ada@example.com', 'GB', NULL), (2, 'Bob', NULL, 'GB', 1), (3, 'Cy "the [1]" \', 'cy@example.com', NULL, 1), (4, 'Ada', NULL, 'XX', 3);
INSERT INTO articles (id, author_id, title, facts) VALUES
  (10, 1, 'Engines', '{"profile": [1], "visits": {"a": [2]}}'), (11, 1, 'Notes', NULL), (20, 2, 'Boats', '[]');
