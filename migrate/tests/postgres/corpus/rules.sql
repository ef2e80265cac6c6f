CREATE TABLE app.a (n int); CREATE TABLE app.b (n int);
CREATE RULE copied AS ON INSERT TO app.a DO ALSO (
  INSERT INTO app.b VALUES (NEW.n); -- );
  INSERT INTO app.log (v) VALUES ('rule ); ' || NEW.n);
);
INSERT INTO app.a VALUES (1), (2); INSERT INTO app.log (v) SELECT count(*) FROM app.b;
