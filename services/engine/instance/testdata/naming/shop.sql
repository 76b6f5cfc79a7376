CREATE EXTENSION ltree;
CREATE TABLE day_of_week (day_name text PRIMARY KEY, remark text);
CREATE TABLE opening_hours (id int4 PRIMARY KEY, opening_day text NOT NULL REFERENCES day_of_week, open_from time, tree_path ltree, extra_data jsonb, "userName" text, is_open bool);
CREATE TABLE shop_visit (id int4 PRIMARY KEY, hours_id int4 NOT NULL REFERENCES opening_hours, visitor_count int8);
CREATE SCHEMA logs;
CREATE TABLE logs.line (id int4 PRIMARY KEY, raw_text text);
