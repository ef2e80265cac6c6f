-- Creates the roles of the application. `migrate bootstrap` runs this file as an administrator.
-- Roles belong to the server and outlive a database, so this is not a migration. Running it again
-- is safe, and reverts manual changes to the settings below.
--
--   katas_owner     owns the schema and its objects; cannot log in
--   katas_migrator  runs the migrations as katas_owner
--   katas_app       the login role of the components: reads and writes rows, and nothing else
--   katas_courier   the login role of the courier: reads and deletes the messages of the outbox
--
-- Limits are set on the roles because only the server can enforce them. They survive the
-- `RESET ALL` that Spin's pool runs before it reuses a connection.
--
-- `migrate bootstrap` also revokes all privileges of PUBLIC on the database, unless it is shared. Only
-- a superuser may revoke EXECUTE on built-in functions from PUBLIC (large objects, advisory locks), so
-- this file, which also runs without one, does not.

-- Safe to run concurrently for several databases of one server.
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['katas_owner', 'katas_migrator', 'katas_app', 'katas_courier'] LOOP
    BEGIN
      IF to_regrole(name) IS NULL THEN
        EXECUTE format('CREATE ROLE %I', name);
      END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL; -- Created concurrently.
    END;
  END LOOP;
END
$$;

ALTER ROLE katas_owner NOLOGIN;

-- Only one Job at a time applies migrations; the other connections wait for it or read the status.
ALTER ROLE katas_migrator LOGIN CONNECTION LIMIT 20;
ALTER ROLE katas_migrator SET role = 'katas_owner';

-- Spin keeps up to 64 connections per pod (3.6) or per pod and component (4.0). With PostgreSQL's
-- default max_connections of 100, this leaves room for the migrator, an administrator and a monitor.
-- Raise both together.
ALTER ROLE katas_app LOGIN CONNECTION LIMIT 80;
-- A guest cannot be interrupted while it waits for a query, so the server has to time out.
ALTER ROLE katas_app SET statement_timeout = '5s';
ALTER ROLE katas_app SET lock_timeout = '2s';
-- No component opens a transaction. If one did and trapped, the next request on the pooled
-- connection would inherit the open transaction.
ALTER ROLE katas_app SET idle_in_transaction_session_timeout = '5s';
-- All names in the SQL of components are schema-qualified.
ALTER ROLE katas_app SET search_path = '';
ALTER ROLE katas_app SET TimeZone = 'UTC';

-- Two replicas during a rollout, with a few connections each.
ALTER ROLE katas_courier LOGIN CONNECTION LIMIT 20;
ALTER ROLE katas_courier SET statement_timeout = '5s';
ALTER ROLE katas_courier SET lock_timeout = '2s';
-- A transaction stays open until the broker has confirmed its messages.
ALTER ROLE katas_courier SET idle_in_transaction_session_timeout = '30s';
ALTER ROLE katas_courier SET search_path = '';
ALTER ROLE katas_courier SET TimeZone = 'UTC';

-- SET ROLE requires membership. The current administrator becomes a member too, so that it can run
-- `migrate up` right after this. (Since PostgreSQL 16, the creator of a role may grant it to others
-- but may not SET ROLE to it.)
GRANT katas_owner TO katas_migrator;
DO $$
BEGIN
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    EXECUTE format('GRANT katas_owner TO %I', current_user);
  END IF;
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO katas_migrator, katas_app, katas_courier',
                 current_database());
  -- For monitoring: CloudNativePG's exporter runs all of its queries in this database.
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO pg_monitor', current_database());
  EXECUTE format('GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %I TO katas_owner', current_database());
  -- English messages: `crates/pg` parses the text of errors that arrive without their SQLSTATE.
  IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    ALTER ROLE katas_app SET lc_messages = 'C';
  END IF;
END
$$;
