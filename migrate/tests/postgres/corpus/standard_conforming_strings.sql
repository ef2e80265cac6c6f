-- A backslash is an ordinary character in a string without E, and pg_dump says so.
SET standard_conforming_strings = on;
INSERT INTO app.log (v) VALUES ('C:\'); INSERT INTO app.log (v) VALUES ('\\'), ('a\''b');
INSERT INTO app.log (v) SELECT 'a_b' LIKE 'a\_b' ESCAPE '\'; INSERT INTO app.log (v) VALUES ('c\'
  '\d');
INSERT INTO app.log (v) SELECT regexp_replace('a;b', ';|\\', '\&\', 'g');
INSERT INTO app.log (v) VALUES (U&'\\'), (U&'\005C');
COMMENT ON TABLE app.log IS 'ends with \';
RESET standard_conforming_strings;
