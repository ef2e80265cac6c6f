-- expected: A migration has no client to copy from or to.
COPY app.log (v) FROM stdin;
it's; $$ /*
\\.
\.

INSERT INTO app.log (v) VALUES ('after');
