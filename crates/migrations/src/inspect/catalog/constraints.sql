-- Constraints of tables and domains. NOT NULL is part of the column, even when it has a name
-- (PostgreSQL 18), unless it is not valid or not inherited. A partition repeats the constraints of
-- its parent, and attaching it merges them. The internal constraints of a foreign key
-- to a partitioned table, one per partition, are omitted.
SELECT CASE WHEN r.is_tool_table THEN 'ledger' ELSE 'constraint' END AS kind,
       format('%s.%I', r.name, c.conname) AS name,
       format('ALTER TABLE %s ADD CONSTRAINT %I %s;', r.name, c.conname,
              pg_get_constraintdef(c.oid)) AS sql,
       c.tableoid::bigint AS class, c.oid::bigint AS id
FROM relation r JOIN pg_constraint c ON c.conrelid = r.oid
WHERE (c.contype IN ('c', 'f', 'p', 'u', 'x')
       OR c.contype = 'n' AND (NOT c.convalidated OR c.connoinherit))
  AND NOT EXISTS (SELECT FROM pg_constraint parent
                  WHERE parent.oid = c.conparentid AND parent.conrelid = c.conrelid)
UNION ALL
SELECT 'constraint', format('%s.%I', t.name, c.conname),
       format('ALTER DOMAIN %s ADD CONSTRAINT %I %s;', t.name, c.conname, pg_get_constraintdef(c.oid)),
       c.tableoid::bigint, c.oid::bigint
FROM type t JOIN pg_constraint c ON c.contypid = t.oid
WHERE c.contype = 'c'
