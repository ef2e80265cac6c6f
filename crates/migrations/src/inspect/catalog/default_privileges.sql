-- Default privileges of the schema's owner and the project's roles. Those of a schema add to those
-- of the database, which replace the built-in ones.
, target AS (
  SELECT d.defaclrole AS owner, d.defaclobjtype AS type,
         format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s', pg_get_userbyid(d.defaclrole),
                CASE WHEN d.defaclnamespace <> 0 THEN ' IN SCHEMA ' || n.name END) AS statement,
         quote_ident(pg_get_userbyid(d.defaclrole))
           || CASE WHEN d.defaclnamespace <> 0 THEN ' in ' || n.name ELSE '' END AS label,
         CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
                              WHEN 'T' THEN 'TYPES' ELSE 'SCHEMAS' END AS word,
         d.defaclacl AS acl,
         CASE WHEN d.defaclnamespace = 0
              THEN acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END,
                              d.defaclrole) END AS builtin
  FROM pg_default_acl d CROSS JOIN namespace n
  WHERE d.defaclnamespace IN (0, n.oid)
    AND (d.defaclrole = n.nspowner OR starts_with(pg_get_userbyid(d.defaclrole), $1 || '_'))
),
builtin AS (
  SELECT t.owner, t.type, t.statement, t.label, t.word, acl.*
  FROM target t CROSS JOIN aclexplode(t.builtin) acl
),
actual AS (
  SELECT t.owner, t.type, t.statement, t.label, t.word, acl.*
  FROM target t CROSS JOIN aclexplode(t.acl) acl
),
difference AS (
  SELECT true AS granted, d.* FROM (SELECT * FROM actual EXCEPT SELECT * FROM builtin) d
  UNION ALL
  SELECT false, d.* FROM (SELECT * FROM builtin EXCEPT SELECT * FROM actual) d
),
statement AS (
  SELECT granted, statement, label, word, is_grantable,
         CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee,
         CASE WHEN type = 'r'
                AND count(*) = (SELECT count(*) FROM aclexplode(acldefault('r', owner)))
              THEN 'ALL'
              ELSE string_agg(privilege_type, ', ' ORDER BY array_position(
                ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'USAGE', 'CREATE'], privilege_type),
                privilege_type) END AS rights
  FROM difference
  GROUP BY granted, statement, label, word, owner, type, is_grantable, grantee
)
SELECT 'default privileges' AS kind,
       concat(label, ', ', lower(word), CASE WHEN granted THEN ' to ' ELSE ' from ' END, grantee) AS name,
       string_agg(CASE WHEN granted
                       THEN format('%s GRANT %s ON %s TO %s%s;', statement, rights, word, grantee,
                                   CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END)
                       ELSE format('%s REVOKE %s ON %s FROM %s;', statement, rights, word, grantee) END,
                  E'\n' ORDER BY is_grantable) AS sql,
       NULL::bigint AS class, NULL::bigint AS id
FROM statement GROUP BY granted, label, word, grantee
