-- expected: This is a command of psql
INSERT INTO app.log (v) VALUES ('a');
\connect - postgres
INSERT INTO app.log (v) VALUES ('b');
