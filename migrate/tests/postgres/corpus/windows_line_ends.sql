INSERT INTO app.log (v) VALUES (E'a'
  '\'; b'); -- ;
INSERT INTO app.log (v) VALUES ('two
lines;');
/* ;
*/ INSERT INTO app.log (v)
VALUES ($$;
$$);
