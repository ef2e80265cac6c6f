-- The role of the exporter: it sees how the server does, and no rows. `migrate` makes the
-- application's roles; this one is the server's, and not called `katas_…`, so that `migrate verify`
-- leaves it alone. For an administrator to run, as often as he likes.
\set ON_ERROR_STOP on
\set password `cat /run/secrets/exporter/password`
SELECT to_regrole('postgres_exporter') IS NULL AS is_new \gset
\if :is_new
  CREATE ROLE postgres_exporter;
\endif
ALTER ROLE postgres_exporter LOGIN CONNECTION LIMIT 3 PASSWORD :'password';
ALTER ROLE postgres_exporter SET statement_timeout = '5s';
GRANT pg_monitor TO postgres_exporter;
