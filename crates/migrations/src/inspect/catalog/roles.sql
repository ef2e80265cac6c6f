-- The roles of the project, their privileges on the database, and their memberships. Passwords are
-- not read. Omitted, because they legitimately differ between installations: `lc_messages`, which
-- `bootstrap` sets only as a superuser; CONNECTION LIMIT, which `bootstrap --connection-limit`
-- adjusts; and the default privileges of PUBLIC on a database (CONNECT, TEMPORARY), which
-- `bootstrap --shared-database` keeps.
, role AS (
  SELECT * FROM pg_roles WHERE starts_with(rolname, $1 || '_')
),
setting AS (
  SELECT role.rolname, s.setdatabase, split_part(text, '=', 1) AS name,
         substr(text, strpos(text, '=') + 1) AS value
  FROM pg_db_role_setting s JOIN role ON role.oid = s.setrole CROSS JOIN unnest(s.setconfig) text
  WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
    AND split_part(text, '=', 1) <> 'lc_messages'
),
database_right AS (
  SELECT CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(role.rolname) END AS grantee,
         acl.is_grantable, string_agg(acl.privilege_type, ', ' ORDER BY acl.privilege_type) AS privileges
  FROM pg_database d
  CROSS JOIN aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) acl
  LEFT JOIN role ON role.oid = acl.grantee
  WHERE d.datname = current_database()
    AND (acl.grantee = 0 AND acl.privilege_type = 'CREATE'
         OR role.oid IS NOT NULL)
  GROUP BY 1, 2
),
-- Since PostgreSQL 16, a membership can be granted several times, and without INHERIT or SET.
membership AS (
  SELECT member.rolname AS member, parent.rolname AS parent, bool_or(m.admin_option) AS admin,
         bool_or(coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, member.rolinherit)) AS inherits,
         member.rolinherit, bool_or(coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)) AS sets
  FROM pg_auth_members m
  JOIN role member ON member.oid = m.member
  JOIN pg_roles parent ON parent.oid = m.roleid
  -- Ignore memberships in the internal roles of managed services.
  WHERE parent.oid IN (SELECT oid FROM role) OR starts_with(parent.rolname, 'pg_') OR parent.rolsuper
  GROUP BY member.rolname, parent.rolname, member.rolinherit
)
SELECT 'role' AS kind, quote_ident(rolname) AS name,
       format('ALTER ROLE %I %s;', rolname, concat_ws(' ',
         CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END,
         CASE WHEN rolsuper THEN 'SUPERUSER' END,
         CASE WHEN rolcreatedb THEN 'CREATEDB' END,
         CASE WHEN rolcreaterole THEN 'CREATEROLE' END,
         CASE WHEN rolreplication THEN 'REPLICATION' END,
         CASE WHEN rolbypassrls THEN 'BYPASSRLS' END,
         CASE WHEN NOT rolinherit THEN 'NOINHERIT' END)) AS sql,
       NULL::bigint AS class, NULL::bigint AS id
FROM role
UNION ALL
SELECT 'role setting',
       format('%I %s%s', rolname, name, CASE WHEN setdatabase <> 0 THEN ' in this database' END),
       format('ALTER ROLE %I %sSET %s TO %s;', rolname,
              CASE WHEN setdatabase <> 0 THEN 'IN DATABASE current ' END, name,
              -- The value of a list setting is quoted already, except for an empty list.
              CASE WHEN value = '""' THEN ''''''
                   WHEN name IN ('search_path', 'session_preload_libraries', 'local_preload_libraries',
                                 'temp_tablespaces') THEN value
                   ELSE quote_literal(value) END),
       NULL, NULL
FROM setting
UNION ALL
SELECT 'membership', format('%I in %I', member, parent),
       format('GRANT %I TO %I%s;', parent, member, ' WITH ' || nullif(concat_ws(', ',
         CASE WHEN admin THEN 'ADMIN OPTION' END,
         CASE WHEN inherits <> rolinherit THEN 'INHERIT ' || upper(inherits::text) END,
         CASE WHEN NOT sets THEN 'SET FALSE' END), '')),
       NULL, NULL
FROM membership
UNION ALL
SELECT 'database', grantee,
       string_agg(format('GRANT %s ON DATABASE current TO %s%s;', privileges, grantee,
                         CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END),
                  E'\n' ORDER BY is_grantable),
       NULL, NULL
FROM database_right GROUP BY grantee
