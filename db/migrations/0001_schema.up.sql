-- The application's schema. `migrate` has made it already, to keep its ledger there.

GRANT USAGE ON SCHEMA katas TO katas_app;

-- Functions are for everybody by default.
-- squawk-ignore ban-revoke -- there is no function yet that anybody could miss
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- Readiness (`/db-check`) reads how far the migrations have come.
GRANT SELECT ON katas._sqlx_migrations TO katas_app;

-- A moment as JSON has it, whatever the session's time zone is: 2026-01-31T09:30:00.123456Z.
-- Components cannot read timestamptz itself.
CREATE FUNCTION katas.rfc3339(timestamptz) RETURNS text
  LANGUAGE sql STABLE STRICT PARALLEL SAFE
  RETURN to_char($1 AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

GRANT EXECUTE ON FUNCTION katas.rfc3339(timestamptz) TO katas_app;
