-- Enums, composite types, ranges and domains. constraints.sql has the constraints of domains.
SELECT 'type' AS kind, t.name,
       format(E'CREATE TYPE %s AS ENUM (\n%s\n);', t.name,
              (SELECT string_agg('  ' || quote_literal(enumlabel), E',\n' ORDER BY enumsortorder)
               FROM pg_enum WHERE enumtypid = t.oid)) AS sql,
       t.class::bigint, t.oid::bigint AS id
FROM type t WHERE t.typtype = 'e'
UNION ALL
SELECT 'type', t.name,
       format(E'CREATE TYPE %s AS (%s);', t.name,
              (SELECT E'\n' || string_agg(
                        concat('  ', quote_ident(a.attname), ' ', format_type(a.atttypid, a.atttypmod),
                               CASE WHEN a.attcollation <> at.typcollation
                                    THEN ' COLLATE ' || a.attcollation::regcollation END),
                        E',\n' ORDER BY a.attnum) || E'\n'
               FROM pg_attribute a JOIN pg_type at ON at.oid = a.atttypid
               WHERE a.attrelid = t.typrelid AND NOT a.attisdropped)),
       t.class::bigint, t.oid::bigint
FROM type t WHERE t.typtype = 'c'
UNION ALL
SELECT 'type', t.name,
       format('CREATE TYPE %s AS RANGE (%s);', t.name, concat_ws(', ',
         'SUBTYPE = ' || format_type(r.rngsubtype, NULL),
         (SELECT format('SUBTYPE_OPCLASS = %I.%I', n.nspname, o.opcname)
          FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace
          WHERE o.oid = r.rngsubopc AND NOT o.opcdefault),
         CASE WHEN r.rngcollation <> st.typcollation
              THEN 'COLLATION = ' || r.rngcollation::regcollation END,
         CASE WHEN r.rngcanonical <> 0 THEN 'CANONICAL = ' || r.rngcanonical END,
         CASE WHEN r.rngsubdiff <> 0 THEN 'SUBTYPE_DIFF = ' || r.rngsubdiff END,
         'MULTIRANGE_TYPE_NAME = ' || format_type(r.rngmultitypid, NULL))),
       t.class::bigint, t.oid::bigint
FROM type t JOIN pg_range r ON r.rngtypid = t.oid JOIN pg_type st ON st.oid = r.rngsubtype
UNION ALL
SELECT 'type', t.name,
       format('CREATE DOMAIN %s AS %s%s%s%s;', t.name, format_type(t.typbasetype, t.typtypmod),
              CASE WHEN t.typcollation <> base.typcollation
                   THEN ' COLLATE ' || t.typcollation::regcollation END,
              ' DEFAULT ' || t.typdefault,
              CASE WHEN t.typnotnull THEN ' NOT NULL' END),
       t.class::bigint, t.oid::bigint
FROM type t JOIN pg_type base ON base.oid = t.typbasetype WHERE t.typtype = 'd'
