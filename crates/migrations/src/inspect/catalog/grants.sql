-- Privileges that differ from the defaults: granted ones, and default ones that have been revoked.
-- The complete set on a table is written as ALL, because PostgreSQL 17 has added MAINTAIN.
, target AS (
  SELECT CASE word WHEN 'SCHEMA' THEN 'SCHEMA' WHEN 'SEQUENCE' THEN 'SEQUENCE'
                   WHEN 'PROCEDURE' THEN 'PROCEDURE' WHEN 'FUNCTION' THEN 'FUNCTION'
                   WHEN 'AGGREGATE' THEN 'FUNCTION' WHEN 'DOMAIN' THEN 'TYPE' WHEN 'TYPE' THEN 'TYPE'
                   ELSE 'TABLE' END || ' ' || name AS name,
         name AS label, NULL::text AS columns, owner, acl, privileges
  FROM object
  UNION ALL
  SELECT 'TABLE ' || r.name, format('%s.%I', r.name, a.attname), format(' (%I)', a.attname),
         r.relowner, a.attacl, 'c'
  FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid
  WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
),
builtin AS (
  SELECT t.name, t.label, t.columns, t.owner, t.privileges, acl.*
  FROM target t CROSS JOIN aclexplode(acldefault(t.privileges, t.owner)) acl
),
actual AS (
  SELECT t.name, t.label, t.columns, t.owner, t.privileges, acl.*
  FROM target t CROSS JOIN aclexplode(coalesce(t.acl, acldefault(t.privileges, t.owner))) acl
),
difference AS (
  SELECT true AS granted, d.* FROM (SELECT * FROM actual EXCEPT SELECT * FROM builtin) d
  UNION ALL
  SELECT false, d.* FROM (SELECT * FROM builtin EXCEPT SELECT * FROM actual) d
),
statement AS (
  SELECT granted, name, label, owner, grantor, is_grantable,
         CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee,
         CASE WHEN privileges = 'r'
                AND count(*) = (SELECT count(*) FROM aclexplode(acldefault('r', owner)))
              THEN 'ALL'
              ELSE string_agg(privilege_type || coalesce(columns, ''), ', ' ORDER BY array_position(
                ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'USAGE', 'CREATE'], privilege_type),
                privilege_type) END AS rights
  FROM difference
  GROUP BY granted, name, label, owner, grantor, is_grantable, grantee, privileges
)
SELECT CASE WHEN granted THEN 'grant' ELSE 'revoke' END AS kind,
       concat(label, CASE WHEN granted THEN ' to ' ELSE ' from ' END, grantee, by) AS name,
       concat(CASE WHEN by IS NOT NULL THEN format(E'SET ROLE %I;\n', pg_get_userbyid(grantor)) END,
              string_agg(CASE WHEN granted
                              THEN format('GRANT %s ON %s TO %s%s;', rights, name, grantee,
                                          CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END)
                              ELSE format('REVOKE %s ON %s FROM %s;', rights, name, grantee) END,
                         E'\n' ORDER BY is_grantable),
              CASE WHEN by IS NOT NULL THEN E'\nRESET ROLE;' END) AS sql,
       NULL::bigint AS class, NULL::bigint AS id
FROM statement
CROSS JOIN LATERAL (
  SELECT CASE WHEN grantor <> owner THEN ' by ' || quote_ident(pg_get_userbyid(grantor)) END AS by) origin
GROUP BY granted, label, grantee, name, by, grantor
