-- Properties of columns and tables that differ from the defaults.
SELECT 'column' AS kind, format('%s.%I', r.name, a.attname) AS name,
       concat_ws(E'\n',
         CASE WHEN a.attstorage <> t.typstorage THEN format('%s SET STORAGE %s;', alter, CASE a.attstorage
                WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END) END,
         CASE a.attcompression WHEN 'p' THEN alter || ' SET COMPRESSION pglz;'
                               WHEN 'l' THEN alter || ' SET COMPRESSION lz4;' END,
         alter || ' SET STATISTICS ' || nullif(a.attstattarget::integer, -1) || ';',
         alter || ' SET (' || array_to_string(o.attoptions, ', ') || ');') AS sql,
       NULL::bigint AS class, NULL::bigint AS id
FROM relation r
JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
CROSS JOIN LATERAL (
  SELECT format('ALTER %s %s ALTER COLUMN %I', r.word, r.name, a.attname) AS alter) statement
-- PostgreSQL 15.20 sets pg_attver on every column, to a different value in every database.
CROSS JOIN LATERAL (
  SELECT array_agg(option ORDER BY place) AS attoptions
  FROM unnest(a.attoptions) WITH ORDINALITY AS set (option, place)
  WHERE NOT starts_with(option, 'pg_attver=')) o
WHERE r.relkind IN ('r', 'p', 'm') AND NOT r.is_tool_table
  AND (a.attstorage <> t.typstorage OR a.attcompression <> '' OR a.attstattarget::integer <> -1
       OR o.attoptions IS NOT NULL)
UNION ALL
SELECT 'replica identity', r.name,
       format('ALTER TABLE %s REPLICA IDENTITY %s;', r.name, CASE r.relreplident
         WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
         ELSE 'USING INDEX ' || (SELECT quote_ident(c.relname)
                                 FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
                                 WHERE x.indrelid = r.oid AND x.indisreplident) END),
       NULL, NULL
FROM relation r WHERE r.relkind IN ('r', 'p') AND r.relreplident <> 'd' AND NOT r.is_tool_table
UNION ALL
SELECT 'row level security', r.name,
       concat_ws(E'\n',
         CASE WHEN r.relrowsecurity THEN format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', r.name) END,
         CASE WHEN r.relforcerowsecurity THEN format('ALTER TABLE %s FORCE ROW LEVEL SECURITY;', r.name) END),
       NULL, NULL
FROM relation r WHERE (r.relrowsecurity OR r.relforcerowsecurity) AND NOT r.is_tool_table
UNION ALL
-- pg_get_constraintdef() omits these.
SELECT 'index options', i.indexrelid::regclass::text,
       format('ALTER INDEX %s SET (%s);', i.indexrelid::regclass, array_to_string(x.reloptions, ', ')),
       NULL, NULL
FROM relation r
JOIN pg_index i ON i.indrelid = r.oid
JOIN pg_class x ON x.oid = i.indexrelid
WHERE x.reloptions IS NOT NULL AND NOT r.is_tool_table
  AND EXISTS (SELECT FROM pg_constraint WHERE conindid = x.oid AND contype IN ('p', 'u', 'x'))
