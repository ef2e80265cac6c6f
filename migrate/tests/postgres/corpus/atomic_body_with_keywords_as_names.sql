-- PostgreSQL reads these keywords as names: after AS, after a period, and as the label of a column. psql
-- counts them all the same.
CREATE TABLE app.span ("end" int, "case" int);
CREATE FUNCTION app.names() RETURNS int BEGIN ATOMIC
  SELECT span.end FROM app.span;
  SELECT 1 AS end; SELECT 2 AS case;
  SELECT span.case FROM app.span AS span;
END;
CREATE FUNCTION app.labels() RETURNS int BEGIN ATOMIC
  SELECT 1 end;
  SELECT 2 case; SELECT 3 case, 4 end FROM app.span;
  SELECT CASE span.case WHEN 1 THEN 2 END end FROM app.span;
  SELECT CASE CASE WHEN true THEN 1 END WHEN 1 THEN CASE (2) WHEN 2 THEN 3 END END case;
END;
INSERT INTO app.log (v) SELECT app.labels();
INSERT INTO app.log (v) SELECT app.names();
