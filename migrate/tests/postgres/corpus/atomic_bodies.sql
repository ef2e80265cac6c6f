CREATE FUNCTION app.one() RETURNS int BEGIN ATOMIC; SELECT 1; SELECT 2; END;
create or replace function app.two(a int) returns text language sql begin /* ; */ atomic
  select case a when 1 then case when true then ';' end else 'end' end;
  select (case a when 1 then 'one;' else 'other' end);
end;
CREATE FUNCTION app.without_block(a int DEFAULT CASE WHEN true THEN 1 END) RETURNS text
  RETURN CASE a WHEN 1 THEN 'one' END;
CREATE PROCEDURE app.three() BEGIN ATOMIC
  -- end;
  INSERT INTO app.log (v) VALUES ('end; case begin');
  INSERT INTO app.log (v) SELECT 1 AS "end" /* end; */;
END;
CREATE FUNCTION app.empty() RETURNS void BEGIN ATOMIC END;
CREATE FUNCTION app.begin(atomic int) RETURNS int LANGUAGE sql AS 'SELECT 1; SELECT 2';
CREATE FUNCTION app.quoted() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN true THEN 1 END; END $$;
INSERT INTO app.log (v) SELECT CASE WHEN true THEN app.two(1) END; CALL app.three();
