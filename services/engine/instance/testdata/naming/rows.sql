TRUNCATE day_of_week, opening_hours, shop_visit, logs.line;
INSERT INTO day_of_week VALUES ('Monday', 'first'), ('Sunday', NULL);
INSERT INTO opening_hours VALUES (1, 'Monday', '08:00', 'a.b', '{"k": 1}', 'u', true), (2, 'Sunday', NULL, 'a.b.c', NULL, NULL, false);
INSERT INTO shop_visit VALUES (1, 1, 10), (2, 1, 30), (3, 2, 9007199254740993);
INSERT INTO logs.line VALUES (1, 'x');
