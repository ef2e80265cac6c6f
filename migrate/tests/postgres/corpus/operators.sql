-- A comment ends an operator.
INSERT INTO app.log (v) SELECT 2 */* ; */ 3; INSERT INTO app.log (v) SELECT 7 +--;
 1;
INSERT INTO app.log (v) SELECT @--;
 -5;
INSERT INTO app.log (v) SELECT 1 </*;*/ 2; INSERT INTO app.log (v) SELECT 3 --1;
 - -4;
INSERT INTO app.log (v) SELECT (ARRAY[1, 2, 3])[2:3]; INSERT INTO app.log (v) SELECT '5'::int % 3;
INSERT INTO app.log (v) SELECT '{"a":{"b;":[1]}}'::jsonb #>> '{a,b;,0}';
INSERT INTO app.log (v) SELECT '{"a;":1}'::jsonb ?| ARRAY['a;'];
INSERT INTO app.log (v) SELECT jsonb_path_query('{"a":[1,2]}', '$.a[*] ? (@ > 1)');
INSERT INTO app.log (v) SELECT make_interval(days => 1, hours := 2);
INSERT INTO app.log (v) SELECT 'a' OPERATOR(pg_catalog.||) ';' WHERE 'a' ~ '^[^;]$'
