-- Undoes 0001_schema. The schema itself stays: the ledger is in it.

DROP FUNCTION katas.rfc3339(timestamptz);
REVOKE SELECT ON katas._sqlx_migrations FROM katas_app;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
REVOKE USAGE ON SCHEMA katas FROM katas_app;
