TRUNCATE teams, staff;
INSERT INTO teams VALUES (1, 'sales'), (2, 'support');
INSERT INTO staff VALUES
  (1, 'Ada', 'ada@example.org', 900, 'leads', NULL, 1), (2, 'Bob', 'bob@example.org', 500, 'good', 1, 1),
  (3, 'Çelik', 'ce@x', 700, NULL, 1, 2), (4, 'Dora', NULL, 300, 'new', 3, 2);
