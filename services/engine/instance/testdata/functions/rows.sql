TRUNCATE authors, articles;
INSERT INTO authors VALUES (1, 'Ada', 'Lovelace', 30), (2, 'Bob', NULL, 10), (3, 'Adele', 'Kant', 20);
INSERT INTO articles VALUES (10, 1, 'Engines', true), (11, 1, 'Notes', false), (12, 3, 'Singing', true);
