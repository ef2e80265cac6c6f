CREATE TABLE app."a;""b'" ("$$" text, "--" text, "/*" text, "E'" text, "É" text, ünïcode_$1 text);
INSERT INTO app."a;""b'" VALUES ('$$', '--', '/*', 'E''', 'É', 'ü');
INSERT INTO app.log (v) SELECT t::text FROM app."a;""b'" AS t;
ALTER TABLE app."a;""b'" RENAME COLUMN "--" TO ";";
INSERT INTO app.log (v) SELECT "a;""b'".";" FROM app."a;""b'"; DROP TABLE app."a;""b'"
