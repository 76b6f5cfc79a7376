CREATE TABLE teams (id int4 PRIMARY KEY, name text NOT NULL);
CREATE TABLE staff (
  id int4 PRIMARY KEY, name text NOT NULL, email text, salary int4 NOT NULL, remarks text, boss_id int4 REFERENCES staff, team_id int4 REFERENCES teams);
