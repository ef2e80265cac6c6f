-- Sequences, except those of identity columns. Their current value is data.
SELECT 'sequence' AS kind, r.name,
       format('CREATE %sSEQUENCE %s AS %s%s;', CASE r.relpersistence WHEN 'u' THEN 'UNLOGGED ' END,
              r.name, format_type(s.seqtypid, NULL), ' ' || nullif(s.options, '')) AS sql,
       r.class::bigint, r.oid::bigint AS id
FROM relation r JOIN sequence s ON s.seqrelid = r.oid
WHERE NOT EXISTS (SELECT FROM pg_depend
                  WHERE classid = r.class AND objid = r.oid AND deptype = 'i')
UNION ALL
SELECT 'sequence column', r.name,
       format('ALTER SEQUENCE %s OWNED BY %s.%I;', r.name, t.oid::regclass, a.attname), NULL, NULL
FROM relation r
JOIN pg_depend d ON d.classid = r.class AND d.objid = r.oid AND d.deptype = 'a'
JOIN pg_class t ON d.refclassid = t.tableoid AND d.refobjid = t.oid
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
WHERE r.relkind = 'S'
