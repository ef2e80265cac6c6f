-- Tables with their columns, and defaults that are set separately. A partition is created as a
-- table and then attached. It inherits the identity columns of its parent. Before PostgreSQL 17 it
-- could have different ones, which are omitted. A NOT NULL that is not valid, or not inherited, is a
-- separate constraint (PostgreSQL 18).
SELECT CASE WHEN r.is_tool_table THEN 'ledger' ELSE 'table' END AS kind, r.name,
       format('CREATE %sTABLE %s (%s)%s%s%s;',
              CASE r.relpersistence WHEN 'u' THEN 'UNLOGGED ' END, r.name,
              (SELECT E'\n' || string_agg(
                 concat('  ', quote_ident(a.attname), ' ', format_type(a.atttypid, a.atttypmod),
                        CASE WHEN a.attcollation <> t.typcollation
                             THEN ' COLLATE ' || a.attcollation::regcollation END,
                        CASE WHEN a.attgenerated <> ''
                             THEN format(' GENERATED ALWAYS AS (%s) %s', d.expression,
                                         CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END)
                             WHEN NOT d.is_separate THEN ' DEFAULT ' || d.expression END,
                        CASE WHEN a.attidentity <> '' AND NOT r.relispartition
                             THEN format(' GENERATED %s AS IDENTITY%s',
                                         CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END,
                                         ' (' || nullif(i.options, '') || ')') END,
                        CASE WHEN a.attnotnull AND NOT EXISTS (
                               SELECT FROM pg_constraint
                               WHERE conrelid = r.oid AND contype = 'n' AND conkey = ARRAY[a.attnum]
                                 AND (NOT convalidated OR connoinherit))
                             THEN ' NOT NULL' END),
                 E',\n' ORDER BY a.attnum) || E'\n'
               FROM pg_attribute a
               JOIN pg_type t ON t.oid = a.atttypid
               LEFT JOIN column_default d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
               LEFT JOIN LATERAL (
                 SELECT concat_ws(' ',
                          CASE WHEN c.relname <> concat(r.relname, '_', a.attname, '_seq')
                               THEN 'SEQUENCE NAME ' || c.oid::regclass END, s.options) AS options
                 FROM pg_depend p
                 JOIN pg_class c ON c.oid = p.objid
                 JOIN sequence s ON s.seqrelid = c.oid
                 WHERE p.classid = r.class AND p.refclassid = r.class AND p.refobjid = r.oid
                   AND p.refobjsubid = a.attnum AND p.deptype = 'i') i ON true
               WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped),
              ' PARTITION BY ' || pg_get_partkeydef(r.oid),
              (SELECT format(' USING %I', amname) FROM pg_am WHERE oid = r.relam AND amname <> 'heap'),
              ' WITH (' || nullif(concat_ws(', ', array_to_string(r.reloptions, ', '),
                (SELECT string_agg('toast.' || option, ', ' ORDER BY option)
                 FROM pg_class toast, unnest(toast.reloptions) option
                 WHERE toast.oid = r.reltoastrelid)), '') || ')') AS sql,
       r.class::bigint, r.oid::bigint AS id
FROM relation r WHERE r.relkind IN ('r', 'p')
UNION ALL
SELECT 'default', format('%s.%I', r.name, a.attname),
       format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s;', r.name, a.attname, d.expression),
       'pg_attrdef'::regclass::bigint, d.oid::bigint
FROM relation r
JOIN column_default d ON d.adrelid = r.oid
JOIN pg_attribute a ON (a.attrelid, a.attnum) = (d.adrelid, d.adnum)
WHERE d.is_separate AND NOT r.is_tool_table
UNION ALL
SELECT 'typed table', r.name,
       format('ALTER TABLE %s OF %s;', r.name, format_type(r.reloftype, NULL)), NULL, NULL
FROM relation r WHERE r.reloftype <> 0
UNION ALL
SELECT CASE WHEN r.relispartition THEN 'partition' ELSE 'inheritance' END,
       CASE WHEN r.relispartition THEN r.name
            ELSE format('%s from %s', r.name, i.inhparent::regclass) END,
       CASE WHEN r.relispartition
            THEN format('ALTER TABLE %s ATTACH PARTITION %s %s;', i.inhparent::regclass, r.name,
                        pg_get_expr(r.relpartbound, r.oid))
            ELSE format('ALTER TABLE %s INHERIT %s;', r.name, i.inhparent::regclass) END,
       NULL, NULL
FROM relation r JOIN pg_inherits i ON i.inhrelid = r.oid
