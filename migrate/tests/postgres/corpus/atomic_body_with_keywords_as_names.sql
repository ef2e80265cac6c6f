-- After AS and after a period, PostgreSQL reads keywords as names; psql counts them all the same.
CREATE TABLE app.span ("end" int, "case" int);
CREATE FUNCTION app.names() RETURNS int BEGIN ATOMIC
  SELECT span.end FROM app.span;
  SELECT 1 AS end; SELECT 2 AS case;
  SELECT span.case FROM app.span AS span;
END;
INSERT INTO app.log (v) SELECT app.names();
