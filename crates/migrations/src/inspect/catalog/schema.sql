-- The schema, its owner, and the extensions that it contains or that its objects depend on.
, contained AS (
  SELECT tableoid, oid FROM pg_class WHERE relnamespace = (SELECT oid FROM namespace)
  UNION ALL
  SELECT tableoid, oid FROM pg_proc WHERE pronamespace = (SELECT oid FROM namespace)
  UNION ALL
  SELECT tableoid, oid FROM pg_type WHERE typnamespace = (SELECT oid FROM namespace)
  UNION ALL
  SELECT tableoid, oid FROM pg_constraint WHERE connamespace = (SELECT oid FROM namespace)
  UNION ALL
  SELECT tableoid, oid FROM pg_attrdef
  WHERE adrelid IN (SELECT oid FROM pg_class WHERE relnamespace = (SELECT oid FROM namespace))
),
needed AS (
  SELECT extension.refobjid AS oid
  FROM contained
  JOIN pg_depend d ON (d.classid, d.objid) = (contained.tableoid, contained.oid)
  JOIN pg_depend extension
    ON (extension.classid, extension.objid) = (d.refclassid, d.refobjid) AND extension.deptype = 'e'
)
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
  AND (e.extnamespace = (SELECT oid FROM namespace) OR e.oid IN (SELECT oid FROM needed))
UNION ALL
SELECT 'session', 'as the owner', format('SET ROLE %I;', pg_get_userbyid(nspowner)), NULL, NULL
FROM namespace
