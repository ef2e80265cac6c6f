DO $$
DECLARE
  name text := 'it''s; so';
BEGIN
  IF name LIKE '%;%' THEN
    INSERT INTO app.log (v) VALUES (name);
  END IF;
  CASE WHEN true THEN NULL; END CASE;
EXCEPTION WHEN others THEN
  RAISE NOTICE 'failed; %', SQLERRM;
END
$$;
DO 'BEGIN INSERT INTO app.log (v) VALUES (''old; style''); END' LANGUAGE plpgsql;
DO LANGUAGE plpgsql E'BEGIN INSERT INTO app.log (v) VALUES (\'escaped; style\'); END';
CREATE FUNCTION app.old_style(text) RETURNS text AS '
  BEGIN
    -- it''''s;
    RETURN ''a;'' || $1;
  END;
' LANGUAGE plpgsql;
INSERT INTO app.log (v) SELECT app.old_style('b');
