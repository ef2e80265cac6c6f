-- Dependencies between objects. A part is replaced by the object to which it belongs: a row type
-- and its array type by the table, the index of a constraint by the constraint.
, part (class, oid, whole_class, whole) AS (
  SELECT t.tableoid, t.oid, c.tableoid, c.oid
  FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid WHERE c.relkind <> 'c'
  UNION ALL
  SELECT c.tableoid, c.oid, t.tableoid, t.oid
  FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid WHERE c.relkind = 'c'
  UNION ALL
  SELECT t.tableoid, t.oid, coalesce(c.tableoid, element.tableoid), coalesce(c.oid, element.oid)
  FROM pg_type t JOIN pg_type element ON element.typarray = t.oid
  LEFT JOIN pg_class c ON c.oid = element.typrelid AND c.relkind <> 'c'
  UNION ALL
  SELECT t.tableoid, r.rngmultitypid, t.tableoid, t.oid
  FROM pg_range r JOIN pg_type t ON t.oid = r.rngtypid
  UNION ALL
  SELECT 'pg_attrdef'::regclass, d.oid, 'pg_class'::regclass, d.adrelid
  FROM column_default d WHERE NOT d.is_separate
  UNION ALL
  SELECT w.tableoid, w.oid, 'pg_class'::regclass, w.ev_class
  FROM pg_rewrite w WHERE w.rulename = '_RETURN'
  UNION ALL
  SELECT 'pg_class'::regclass, c.conindid, c.tableoid, c.oid
  FROM pg_constraint c WHERE c.contype IN ('p', 'u', 'x')
)
SELECT DISTINCT coalesce(p.whole_class, d.classid)::bigint AS class,
       coalesce(p.whole, d.objid)::bigint AS id,
       coalesce(w.whole_class, d.refclassid)::bigint AS needed_class,
       coalesce(w.whole, d.refobjid)::bigint AS needed
FROM pg_depend d
LEFT JOIN part p ON (p.class, p.oid) = (d.classid, d.objid)
LEFT JOIN part w ON (w.class, w.oid) = (d.refclassid, d.refobjid)
-- 16384 is the first OID of an object that is not built in (FirstNormalObjectId).
WHERE d.objid >= 16384 AND d.refobjid >= 16384
  -- A sequence is created before the column that owns it.
  AND NOT EXISTS (SELECT FROM pg_class s
                  WHERE s.tableoid = d.classid AND s.oid = d.objid AND s.relkind = 'S')
