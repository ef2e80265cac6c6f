-- The exporter's role, which can read the server's statistics but no tables. `migrate` creates the
-- application's roles; this one belongs to the server and has no `katas_` prefix, so that `migrate
-- verify` ignores it. Run as an administrator; can be run repeatedly.
\set ON_ERROR_STOP on
\set password `cat /run/secrets/exporter/password`
SELECT to_regrole('postgres_exporter') IS NULL AS is_new \gset
\if :is_new
  CREATE ROLE postgres_exporter;
\endif
ALTER ROLE postgres_exporter LOGIN CONNECTION LIMIT 3 PASSWORD :'password';
ALTER ROLE postgres_exporter SET statement_timeout = '5s';
GRANT pg_monitor TO postgres_exporter;
