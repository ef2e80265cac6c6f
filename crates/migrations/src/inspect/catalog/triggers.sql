-- Rules, triggers and policies, and whether they are enabled.
, state AS (
  SELECT * FROM (VALUES ('D'::"char", 'DISABLE'), ('R', 'ENABLE REPLICA'), ('A', 'ENABLE ALWAYS'))
    AS state (letter, word)
)
SELECT 'rule' AS kind, format('%s.%I', r.name, w.rulename) AS name,
       concat_ws(E'\n', pg_get_ruledef(w.oid),
         (SELECT format('ALTER TABLE %s %s RULE %I;', r.name, word, w.rulename)
          FROM state WHERE letter = w.ev_enabled)) AS sql,
       w.tableoid::bigint AS class, w.oid::bigint AS id
FROM relation r JOIN pg_rewrite w ON w.ev_class = r.oid
WHERE w.rulename <> '_RETURN' AND NOT r.is_tool_table
UNION ALL
SELECT 'trigger', format('%s.%I', r.name, t.tgname),
       concat_ws(E'\n', pg_get_triggerdef(t.oid) || ';',
         (SELECT format('ALTER TABLE %s %s TRIGGER %I;', r.name, word, t.tgname)
          FROM state WHERE letter = t.tgenabled)),
       t.tableoid::bigint, t.oid::bigint
FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid
WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND NOT r.is_tool_table
UNION ALL
-- A foreign key with disabled triggers is not enforced.
SELECT 'disabled constraint', format('%s.%I', r.name, c.conname),
       format('ALTER TABLE %s DISABLE TRIGGER ALL;', r.name), NULL, NULL
FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid JOIN pg_constraint c ON c.oid = t.tgconstraint
WHERE t.tgisinternal AND t.tgenabled <> 'O' AND t.tgparentid = 0
GROUP BY r.name, c.conname
UNION ALL
SELECT 'policy', format('%s.%I', r.name, p.polname),
       format('CREATE POLICY %I ON %s%s FOR %s TO %s%s%s;', p.polname, r.name,
              CASE WHEN NOT p.polpermissive THEN ' AS RESTRICTIVE' END,
              CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                            WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
              (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END,
                                 ', ' ORDER BY pg_get_userbyid(role))
               FROM unnest(p.polroles) role),
              ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
              ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'),
       p.tableoid::bigint, p.oid::bigint
FROM relation r JOIN pg_policy p ON p.polrelid = r.oid
WHERE NOT r.is_tool_table
