-- Tags nest, are case-sensitive and may contain letters beyond ASCII.
INSERT INTO app.log (v) VALUES ($$;$$), ($a$ $$;$$ $A$;$A$ $a$), ($_1$;$ $_1$), ($é$;$e$;$é$);
-- A dollar sign within an identifier begins no string.
CREATE TABLE app.a$b$ (c$d int, e$$ int);
INSERT INTO app.a$b$ (c$d, e$$) VALUES (1, 2); INSERT INTO app.log (v) SELECT e$$ FROM app.a$b$;
-- A parameter is no tag.
PREPARE one (text) AS INSERT INTO app.log (v) VALUES ($1);
EXECUTE one ($$a;b$$);
DEALLOCATE one;
-- Neither a quote nor a comment in the string ends it, and a tag may follow a string directly.
INSERT INTO app.log (v) VALUES ($$it's -- ; /* $a $1 $$||$$;$$), ($x$$y$;$y$$x$);
CREATE FUNCTION app.nested() RETURNS text LANGUAGE plpgsql AS $function$
BEGIN
  EXECUTE $sql$ SELECT $quoted$;'$quoted$; $sql$;
  RETURN $$;$$;
END
$function$;
INSERT INTO app.log (v) SELECT app.nested()
