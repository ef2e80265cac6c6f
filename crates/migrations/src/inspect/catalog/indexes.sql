-- Indexes that do not belong to a constraint, and extended statistics.
SELECT 'index' AS kind, format('%I.%I', n.nspname, c.relname) AS name,
       pg_get_indexdef(c.oid) || ';'
         || CASE WHEN i.indisvalid THEN '' ELSE ' -- INVALID' END AS sql,
       c.tableoid::bigint AS class, c.oid::bigint AS id
FROM relation r
JOIN pg_index i ON i.indrelid = r.oid
JOIN pg_class c ON c.oid = i.indexrelid
JOIN namespace n ON n.oid = c.relnamespace
WHERE NOT r.is_tool_table
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = c.oid AND contype IN ('p', 'u', 'x'))
UNION ALL
SELECT 'statistics', format('%I.%I', n.nspname, s.stxname), pg_get_statisticsobjdef(s.oid) || ';',
       s.tableoid::bigint, s.oid::bigint
FROM pg_statistic_ext s JOIN namespace n ON n.oid = s.stxnamespace
