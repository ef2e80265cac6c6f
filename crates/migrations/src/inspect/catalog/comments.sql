-- Comments on the objects.
, target AS (
  SELECT class, oid, 0 AS part, word || ' ' || name AS name FROM object WHERE NOT is_tool_table
  UNION ALL
  SELECT r.class, r.oid, a.attnum, format('COLUMN %s.%I', r.name, a.attname)
  FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid WHERE NOT r.is_tool_table
  UNION ALL
  SELECT c.tableoid, c.oid, a.attnum, format('COLUMN %s.%I', t.name, a.attname)
  FROM type t JOIN pg_class c ON c.oid = t.typrelid JOIN pg_attribute a ON a.attrelid = c.oid
  UNION ALL
  SELECT c.tableoid, c.oid, 0, format('INDEX %s', c.oid::regclass)
  FROM relation r JOIN pg_index i ON i.indrelid = r.oid JOIN pg_class c ON c.oid = i.indexrelid
  UNION ALL
  SELECT c.tableoid, c.oid, 0, format('CONSTRAINT %I ON %s', c.conname, r.name)
  FROM relation r JOIN pg_constraint c ON c.conrelid = r.oid
  UNION ALL
  SELECT c.tableoid, c.oid, 0, format('CONSTRAINT %I ON DOMAIN %s', c.conname, t.name)
  FROM type t JOIN pg_constraint c ON c.contypid = t.oid
  UNION ALL
  SELECT t.tableoid, t.oid, 0, format('TRIGGER %I ON %s', t.tgname, r.name)
  FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid
  UNION ALL
  SELECT w.tableoid, w.oid, 0, format('RULE %I ON %s', w.rulename, r.name)
  FROM relation r JOIN pg_rewrite w ON w.ev_class = r.oid
  UNION ALL
  SELECT p.tableoid, p.oid, 0, format('POLICY %I ON %s', p.polname, r.name)
  FROM relation r JOIN pg_policy p ON p.polrelid = r.oid
  UNION ALL
  SELECT s.tableoid, s.oid, 0, format('STATISTICS %I.%I', n.nspname, s.stxname)
  FROM pg_statistic_ext s JOIN namespace n ON n.oid = s.stxnamespace
)
SELECT 'comment' AS kind, t.name, format('COMMENT ON %s IS %L;', t.name, d.description) AS sql,
       NULL::bigint AS class, NULL::bigint AS id
FROM target t JOIN pg_description d ON (d.classoid, d.objoid, d.objsubid) = (t.class, t.oid, t.part)
