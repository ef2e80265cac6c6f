-- Views and materialized views. Whether a materialized view is populated is data.
SELECT lower(word) AS kind, name,
       format(E'CREATE %s %s%s AS\n%s', word, name,
              ' WITH (' || array_to_string(reloptions, ', ') || ')', pg_get_viewdef(oid)) AS sql,
       class::bigint, oid::bigint AS id
FROM relation WHERE relkind IN ('v', 'm')
