INSERT INTO app.log (v) VALUES (E'it\'s; so'), (e'\\'), (E'a''b\\\'; '), (E'\047;\x27\u0027');
-- A string on a later line continues the escapes, after comments to the end of a line too.
INSERT INTO app.log (v) VALUES (E'a'
  '\'; b' -- '
  '\\'
  -- ;
  'c\'');
-- Without E, a backslash is an ordinary character.
INSERT INTO app.log (v) VALUES ('a\'), ('\'); INSERT INTO app.log (v) VALUES (E'\\'), ('\');
INSERT INTO app.log (v) SELECT E'\'' AS e; INSERT INTO app.log (v) SELECT 'e' AS "E'";
INSERT INTO app.log (v) VALUES (U&'d\0061t\+000061;''\0027'), (U&'!0027;' UESCAPE '!'), (u&'\\');
INSERT INTO app.log (v) SELECT 1 AS U&"a;\0022""b"; INSERT INTO app.log (v) VALUES (N'n;''');
INSERT INTO app.log (v) VALUES (B'101'), (X'1F'), (b''); INSERT INTO app.log (v) VALUES ('b'';'
  ';');
INSERT INTO app.log (v) SELECT TYPE FROM (SELECT text 'E;' AS type) AS e;
INSERT INTO app.log (v) SELECT date'2026-01-31'; INSERT INTO app.log (v) SELECT interval'1 day' || ';'::text;
