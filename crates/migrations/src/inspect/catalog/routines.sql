-- Functions, procedures and aggregates.
SELECT lower(word) AS kind, name, rtrim(pg_get_functiondef(oid), E'\n') || ';' AS sql,
       class::bigint, oid::bigint AS id
FROM routine WHERE prokind <> 'a'
UNION ALL
SELECT 'aggregate', r.name,
       format(E'CREATE AGGREGATE %s (\n%s\n);',
              CASE WHEN r.pronargs = 0 THEN replace(r.name, '()', '(*)') ELSE r.name END,
              concat_ws(E',\n',
                '  SFUNC = ' || a.aggtransfn,
                '  STYPE = ' || format_type(a.aggtranstype, NULL),
                '  SSPACE = ' || nullif(a.aggtransspace, 0),
                '  FINALFUNC = ' || CASE WHEN a.aggfinalfn <> 0 THEN a.aggfinalfn END,
                CASE WHEN a.aggfinalextra THEN '  FINALFUNC_EXTRA' END,
                '  FINALFUNC_MODIFY = ' || CASE
                  WHEN a.aggfinalmodify = CASE a.aggkind WHEN 'n' THEN 'r' ELSE 'w' END THEN NULL
                  WHEN a.aggfinalmodify = 'r' THEN 'READ_ONLY'
                  WHEN a.aggfinalmodify = 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END,
                '  COMBINEFUNC = ' || CASE WHEN a.aggcombinefn <> 0 THEN a.aggcombinefn END,
                '  SERIALFUNC = ' || CASE WHEN a.aggserialfn <> 0 THEN a.aggserialfn END,
                '  DESERIALFUNC = ' || CASE WHEN a.aggdeserialfn <> 0 THEN a.aggdeserialfn END,
                '  INITCOND = ' || quote_literal(a.agginitval),
                '  MSFUNC = ' || CASE WHEN a.aggmtransfn <> 0 THEN a.aggmtransfn END,
                '  MINVFUNC = ' || CASE WHEN a.aggminvtransfn <> 0 THEN a.aggminvtransfn END,
                '  MSTYPE = ' || CASE WHEN a.aggmtranstype <> 0 THEN format_type(a.aggmtranstype, NULL) END,
                '  MSSPACE = ' || nullif(a.aggmtransspace, 0),
                '  MFINALFUNC = ' || CASE WHEN a.aggmfinalfn <> 0 THEN a.aggmfinalfn END,
                CASE WHEN a.aggmfinalextra THEN '  MFINALFUNC_EXTRA' END,
                '  MFINALFUNC_MODIFY = ' || CASE
                  WHEN a.aggmfinalmodify = CASE a.aggkind WHEN 'n' THEN 'r' ELSE 'w' END THEN NULL
                  WHEN a.aggmfinalmodify = 'r' THEN 'READ_ONLY'
                  WHEN a.aggmfinalmodify = 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END,
                '  MINITCOND = ' || quote_literal(a.aggminitval),
                '  SORTOP = ' || (SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname)
                                  FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
                                  WHERE o.oid = a.aggsortop),
                CASE WHEN a.aggkind = 'h' THEN '  HYPOTHETICAL' END,
                '  PARALLEL = ' || CASE r.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' END)),
       r.class::bigint, r.oid::bigint
FROM routine r JOIN pg_aggregate a ON a.aggfnoid = r.oid
