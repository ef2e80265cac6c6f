-- The objects of the project. Every other file in this folder continues this WITH clause. $1 is the
-- schema of the project, $2 the names of this tool's tables, which are omitted unless privileges on
-- them have been granted. Members of extensions and the internal objects of range types are
-- omitted.
WITH namespace AS (
  SELECT oid, tableoid AS class, nspname, nspowner, nspacl, quote_ident(nspname) AS name
  FROM pg_namespace WHERE nspname = $1::text
),
member AS (
  SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
),
relation AS (
  SELECT c.*, c.tableoid AS class, format('%I.%I', n.nspname, c.relname) AS name,
         CASE c.relkind
           WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
           ELSE 'TABLE'
         END AS word,
         tool.is_tool_table
  FROM pg_class c JOIN namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL (SELECT c.relkind = 'r' AND c.relname = ANY ($2::text[]) AS is_tool_table) tool
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S')
    AND (c.tableoid, c.oid) NOT IN (SELECT classid, objid FROM member)
    AND (NOT tool.is_tool_table
         OR EXISTS (SELECT FROM aclexplode(c.relacl) WHERE grantee <> c.relowner)
         OR EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attacl IS NOT NULL))
),
routine AS (
  SELECT p.*, p.tableoid AS class,
         format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name,
         CASE p.prokind
           WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION'
         END AS word
  FROM pg_proc p JOIN namespace n ON n.oid = p.pronamespace
  WHERE (p.tableoid, p.oid) NOT IN (SELECT classid, objid FROM member)
    AND NOT EXISTS (SELECT FROM pg_depend
                    WHERE classid = p.tableoid AND objid = p.oid AND deptype = 'i')
),
type AS (
  SELECT t.*, t.tableoid AS class, format('%I.%I', n.nspname, t.typname) AS name,
         CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END AS word
  FROM pg_type t JOIN namespace n ON n.oid = t.typnamespace
  WHERE (t.tableoid, t.oid) NOT IN (SELECT classid, objid FROM member)
    AND (t.typtype IN ('d', 'e', 'r')
         OR t.typtype = 'c' AND (SELECT relkind FROM pg_class WHERE oid = t.typrelid) = 'c')
),
-- Objects with an owner and an ACL. `privileges` is the object type for acldefault().
object AS (
  SELECT class, oid, 'SCHEMA' AS word, name, nspowner AS owner, nspacl AS acl, 'n'::"char" AS privileges,
         false AS is_tool_table
  FROM namespace
  UNION ALL
  SELECT class, oid, word, name, relowner, relacl,
         CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, is_tool_table
  FROM relation
  UNION ALL
  SELECT class, oid, word, name, proowner, proacl, 'f', false FROM routine
  UNION ALL
  SELECT class, oid, word, name, typowner, typacl, 'T', false FROM type
),
-- The options of sequences that differ from the defaults.
sequence AS (
  SELECT s.seqrelid, s.seqtypid,
         concat_ws(' ',
           CASE WHEN seqincrement <> 1 THEN 'INCREMENT BY ' || seqincrement END,
           CASE WHEN seqmin <> CASE WHEN seqincrement > 0 THEN 1 ELSE -most - 1 END
                THEN 'MINVALUE ' || seqmin END,
           CASE WHEN seqmax <> CASE WHEN seqincrement > 0 THEN most ELSE -1 END
                THEN 'MAXVALUE ' || seqmax END,
           CASE WHEN seqstart <> CASE WHEN seqincrement > 0 THEN seqmin ELSE seqmax END
                THEN 'START WITH ' || seqstart END,
           CASE WHEN seqcache <> 1 THEN 'CACHE ' || seqcache END,
           CASE WHEN seqcycle THEN 'CYCLE' END) AS options
  FROM pg_sequence s
  CROSS JOIN LATERAL (
    SELECT CASE seqtypid
             WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
             ELSE 9223372036854775807
           END AS most) type
),
-- Column defaults. A default that uses a sequence or a function of the project is set after that
-- has been created, and the default of a view's column after the view.
column_default AS (
  SELECT d.oid, d.adrelid, d.adnum, pg_get_expr(d.adbin, d.adrelid) AS expression,
         c.relkind = 'v' OR a.attgenerated = '' AND EXISTS (
           SELECT FROM pg_depend p
           WHERE p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.deptype = 'n'
             AND p.refclassid IN ('pg_class'::regclass, 'pg_proc'::regclass)) AS is_separate
  FROM pg_attrdef d
  JOIN pg_class c ON c.oid = d.adrelid
  JOIN pg_attribute a ON (a.attrelid, a.attnum) = (d.adrelid, d.adnum)
)
