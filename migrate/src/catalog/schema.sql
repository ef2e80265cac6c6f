-- The schema, its owner, and the extensions of the database.
SELECT 'schema' AS kind, name,
       format('CREATE SCHEMA %s AUTHORIZATION %I;', name, pg_get_userbyid(nspowner)) AS sql,
       class::bigint, oid::bigint AS id
FROM namespace
UNION ALL
SELECT 'extension', quote_ident(e.extname),
       format('CREATE EXTENSION %I WITH SCHEMA %I;', e.extname, n.nspname),
       e.tableoid::bigint, e.oid::bigint
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname <> 'plpgsql'
UNION ALL
SELECT 'session', 'as the owner', format('SET ROLE %I;', pg_get_userbyid(nspowner)), NULL, NULL
FROM namespace
