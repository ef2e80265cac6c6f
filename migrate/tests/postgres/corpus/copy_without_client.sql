-- None of these copies from a client.
INSERT INTO app.log (v) VALUES ('COPY app.log FROM stdin;
\.
');
INSERT INTO app.log (v) VALUES ($$\i other.sql
\.$$);
/* COPY app.log (v) FROM stdin;
a
\.
*/
CREATE TABLE app.stdin (copy text); INSERT INTO app.stdin (copy) VALUES ('copied');
INSERT INTO app.log (v) SELECT copy FROM app.stdin; SELECT copy FROM app.stdin;
INSERT INTO app.log (v) VALUES ('after');
