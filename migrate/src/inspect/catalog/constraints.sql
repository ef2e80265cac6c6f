-- Constraints of tables and domains. NOT NULL is with the columns, also where it has a name (18).
-- A partition has those of the whole as well: attaching it brings them together. What a foreign key
-- to a partitioned table has inside, one for each partition, is not a constraint of its own.
SELECT CASE WHEN r.is_own THEN 'ledger' ELSE 'constraint' END AS kind,
       format('%s.%I', r.name, c.conname) AS name,
       format('ALTER TABLE %s ADD CONSTRAINT %I %s;', r.name, c.conname,
              pg_get_constraintdef(c.oid)) AS sql,
       c.tableoid::bigint AS class, c.oid::bigint AS id
FROM relation r JOIN pg_constraint c ON c.conrelid = r.oid
WHERE c.contype IN ('c', 'f', 'p', 'u', 'x')
  AND NOT EXISTS (SELECT FROM pg_constraint parent
                  WHERE parent.oid = c.conparentid AND parent.conrelid = c.conrelid)
UNION ALL
SELECT 'constraint', format('%s.%I', t.name, c.conname),
       format('ALTER DOMAIN %s ADD CONSTRAINT %I %s;', t.name, c.conname, pg_get_constraintdef(c.oid)),
       c.tableoid::bigint, c.oid::bigint
FROM type t JOIN pg_constraint c ON c.contypid = t.oid
WHERE c.contype = 'c'
