-- The roles of the application, for an administrator to run: `migrate bootstrap`. Roles belong to
-- the whole server and outlive a database, so this is no migration. It can be run again at any
-- time, and puts right what has been changed by hand.
--
--   katas_owner     owns the schema and all in it; nobody logs in as it
--   katas_migrator  runs the migrations, acting as the owner
--   katas_app       what the components log in as: reads and writes rows, and nothing else
--
-- Limits are set on the roles because only the server can enforce them. They survive the
-- `RESET ALL` with which Spin's pool passes a connection on.

-- Several databases of one server can be prepared at the same time.
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['katas_owner', 'katas_migrator', 'katas_app'] LOOP
    BEGIN
      IF to_regrole(name) IS NULL THEN
        EXECUTE format('CREATE ROLE %I', name);
      END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL; -- Made by somebody else just now.
    END;
  END LOOP;
END
$$;

ALTER ROLE katas_owner NOLOGIN;

-- One Job at a time does work; what else connects is waiting for it, or asking for the status.
ALTER ROLE katas_migrator LOGIN CONNECTION LIMIT 20;
ALTER ROLE katas_migrator SET role = 'katas_owner';

-- Spin keeps up to 64 connections per pod (3.6) or per pod and component (4.0). With PostgreSQL's
-- default of 100 in all, this leaves room for the migrator, an administrator and a monitor. To be
-- raised together with max_connections.
ALTER ROLE katas_app LOGIN CONNECTION LIMIT 80;
-- A guest cannot be interrupted while it waits: the server gives up for it.
ALTER ROLE katas_app SET statement_timeout = '5s';
ALTER ROLE katas_app SET lock_timeout = '2s';
-- No component opens a transaction. One that did, and trapped, would leave it to the next request.
ALTER ROLE katas_app SET idle_in_transaction_session_timeout = '5s';
-- All names in SQL are qualified.
ALTER ROLE katas_app SET search_path = '';
ALTER ROLE katas_app SET TimeZone = 'UTC';

-- To act as another role one must be a member of it. The administrator is made one too, so that
-- `migrate up` works for who has just run this. (Since PostgreSQL 16, who makes a role may give it to
-- others, and may not act as it.)
GRANT katas_owner TO katas_migrator;
DO $$
BEGIN
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    EXECUTE format('GRANT katas_owner TO %I', current_user);
  END IF;
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO katas_migrator, katas_app', current_database());
  -- Who watches the server: CloudNativePG's exporter asks everything in here.
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO pg_monitor', current_database());
  EXECUTE format('GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %I TO katas_owner', current_database());
  -- Messages in English: `crates/pg` reads those that come without their code.
  IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    ALTER ROLE katas_app SET lc_messages = 'C';
  END IF;
END
$$;
