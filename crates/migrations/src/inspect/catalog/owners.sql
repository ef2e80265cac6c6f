-- Owners that differ from the schema's. A sequence owned by a column has the owner of the table.
SELECT 'owner' AS kind, o.name,
       format('ALTER %s %s OWNER TO %I;', o.word, o.name, pg_get_userbyid(o.owner)) AS sql,
       NULL::bigint AS class, NULL::bigint AS id
FROM object o CROSS JOIN namespace n
WHERE o.owner <> n.nspowner AND NOT o.is_tool_table
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE o.word = 'SEQUENCE' AND d.classid = o.class AND d.objid = o.oid
                    AND d.deptype IN ('a', 'i'))
