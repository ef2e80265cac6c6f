-- Objects of kinds without a generated statement: operators, collations, foreign tables, text
-- search. Only their existence and names are compared.
SELECT 'other' AS kind, concat(o.type, ' ', o.identity) AS name,
       '--   This object exists, but its definition is not dumped.' AS sql,
       d.classid::bigint AS class, d.objid::bigint AS id
FROM pg_depend d
JOIN namespace n ON d.refclassid = n.class AND d.refobjid = n.oid
CROSS JOIN pg_identify_object(d.classid, d.objid, 0) o
WHERE d.deptype = 'n' AND (d.classid, d.objid) NOT IN (SELECT classid, objid FROM member)
  AND d.classid NOT IN ('pg_proc'::regclass, 'pg_statistic_ext'::regclass, 'pg_default_acl'::regclass,
                        'pg_extension'::regclass)
  AND NOT EXISTS (SELECT FROM pg_class c
                  WHERE c.tableoid = d.classid AND c.oid = d.objid AND c.relkind <> 'f')
  AND NOT EXISTS (SELECT FROM pg_type t
                  WHERE t.tableoid = d.classid AND t.oid = d.objid AND t.typtype <> 'b')
