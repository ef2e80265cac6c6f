-- The schema katas at version 7: the output of `migrate dump`, with which `migrate verify` compares.
-- To restore it, run it as an administrator in an empty database, after `migrate bootstrap`.
-- `migrate bootstrap` creates what is commented out: roles and privileges on the database.

-- role: katas_app
--   ALTER ROLE katas_app LOGIN;

-- role: katas_courier
--   ALTER ROLE katas_courier LOGIN;

-- role: katas_migrator
--   ALTER ROLE katas_migrator LOGIN;

-- role: katas_owner
--   ALTER ROLE katas_owner NOLOGIN;

-- role setting: katas_app TimeZone
--   ALTER ROLE katas_app SET TimeZone TO 'UTC';

-- role setting: katas_app idle_in_transaction_session_timeout
--   ALTER ROLE katas_app SET idle_in_transaction_session_timeout TO '5s';

-- role setting: katas_app lock_timeout
--   ALTER ROLE katas_app SET lock_timeout TO '2s';

-- role setting: katas_app search_path
--   ALTER ROLE katas_app SET search_path TO '';

-- role setting: katas_app statement_timeout
--   ALTER ROLE katas_app SET statement_timeout TO '5s';

-- role setting: katas_courier TimeZone
--   ALTER ROLE katas_courier SET TimeZone TO 'UTC';

-- role setting: katas_courier idle_in_transaction_session_timeout
--   ALTER ROLE katas_courier SET idle_in_transaction_session_timeout TO '30s';

-- role setting: katas_courier lock_timeout
--   ALTER ROLE katas_courier SET lock_timeout TO '2s';

-- role setting: katas_courier search_path
--   ALTER ROLE katas_courier SET search_path TO '';

-- role setting: katas_courier statement_timeout
--   ALTER ROLE katas_courier SET statement_timeout TO '5s';

-- role setting: katas_migrator role
--   ALTER ROLE katas_migrator SET role TO 'katas_owner';

-- membership: katas_migrator in katas_owner
--   GRANT katas_owner TO katas_migrator;

-- database: katas_app
--   GRANT CONNECT ON DATABASE current TO katas_app;

-- database: katas_courier
--   GRANT CONNECT ON DATABASE current TO katas_courier;

-- database: katas_migrator
--   GRANT CONNECT ON DATABASE current TO katas_migrator;

-- database: katas_owner
--   GRANT CONNECT, CREATE, TEMPORARY ON DATABASE current TO katas_owner;

-- session: settings
SET search_path = '';
SET check_function_bodies = off;

-- schema: katas
CREATE SCHEMA katas AUTHORIZATION katas_owner;

-- session: as the owner
SET ROLE katas_owner;

-- function: katas.convert_dataset_rows(target bigint)
CREATE OR REPLACE FUNCTION katas.convert_dataset_rows(target bigint)
 RETURNS bigint
 LANGUAGE sql
AS $function$
  WITH row AS (
    SELECT position, size, fields FROM katas.dataset_row
    WHERE dataset = target
      AND position >= coalesce((SELECT first_row + rows FROM katas.dataset_chunk
                                WHERE dataset = target ORDER BY first_row DESC LIMIT 1), 0)
    ORDER BY position LIMIT 10000
  ), sized AS (
    SELECT position, fields, sum(size) OVER (ORDER BY position) - size AS before FROM row
  ), line AS (
    SELECT position, katas.dataset_row_csv(fields) AS csv FROM sized WHERE before < 4194304
  ), placed AS (
    SELECT position, csv,
           (sum(octet_length(csv)) OVER (ORDER BY position) - octet_length(csv)) / 65536 AS chunk
    FROM line
  ), added AS (
    INSERT INTO katas.dataset_chunk (dataset, first_row, rows, csv)
    SELECT target, min(position), count(*), string_agg(csv, '' ORDER BY position)
    FROM placed GROUP BY chunk
    RETURNING rows
  )
  SELECT coalesce(sum(rows), 0)::bigint FROM added
$function$;

-- function: katas.dataset_chunk_added()
CREATE OR REPLACE FUNCTION katas.dataset_chunk_added()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
BEGIN
  IF EXISTS (SELECT FROM katas.dataset_row WHERE dataset = 0 AND position = 0)
     AND NOT EXISTS (SELECT FROM katas.dataset_row
                     WHERE dataset = NEW.dataset AND position = NEW.first_row) THEN
    INSERT INTO katas.dataset_row (dataset, position, size, fields)
    SELECT NEW.dataset, NEW.first_row - 1 + place, octet_length(fields::text), fields
    FROM katas.dataset_chunk_rows(NEW.csv);
  END IF;
  RETURN NULL;
END
$function$;

-- function: katas.dataset_chunk_deleted()
CREATE OR REPLACE FUNCTION katas.dataset_chunk_deleted()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
BEGIN
  DELETE FROM katas.dataset_row
  WHERE dataset = OLD.dataset
    AND position >= OLD.first_row AND position < OLD.first_row + OLD.rows;
  RETURN NULL;
END
$function$;

-- function: katas.dataset_chunk_rows(csv text)
CREATE OR REPLACE FUNCTION katas.dataset_chunk_rows(csv text)
 RETURNS TABLE(place bigint, fields text[])
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  WITH cell AS (
    SELECT number, match[1] AS raw,
           count(*) FILTER (WHERE match[2] <> ',') OVER (ORDER BY number)
             - (match[2] <> ',')::integer + 1 AS place
    FROM regexp_matches(csv, E'("(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n)', 'g')
           WITH ORDINALITY AS each (match, number)
  )
  SELECT place,
         array_agg(CASE WHEN raw LIKE '"%' THEN replace(substr(raw, 2, length(raw) - 2), '""', '"')
                        ELSE raw END ORDER BY number)
  FROM cell GROUP BY place
$function$;

-- function: katas.dataset_row_added()
CREATE OR REPLACE FUNCTION katas.dataset_row_added()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
BEGIN
  PERFORM katas.convert_dataset_rows(dataset)
  FROM (SELECT DISTINCT dataset FROM added WHERE dataset > 0) AS changed;
  RETURN NULL;
END
$function$;

-- function: katas.dataset_row_csv(fields text[])
CREATE OR REPLACE FUNCTION katas.dataset_row_csv(fields text[])
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  SELECT CASE
    -- A blank line would be no row.
    WHEN fields = '{""}' THEN '""'
    WHEN array_to_string(fields, '') !~ E'[",\r\n]' THEN array_to_string(fields, ',')
    ELSE (SELECT string_agg(CASE WHEN field ~ E'[",\r\n]'
                                 THEN '"' || replace(field, '"', '""') || '"' ELSE field END,
                            ',' ORDER BY place)
          FROM unnest(fields) WITH ORDINALITY AS each (field, place))
  END || E'\r\n'
$function$;

-- function: katas.requeue_stalled_runs()
CREATE OR REPLACE FUNCTION katas.requeue_stalled_runs()
 RETURNS bigint
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
  WITH stalled AS (
    SELECT number, cardinality(part_first_rows) AS parts FROM katas.dataset_run
    WHERE state IN ('queued', 'running')
      AND touched_at < now() - greatest(interval '10 minutes', touched_at - created_at)
    ORDER BY number LIMIT 10000 FOR UPDATE SKIP LOCKED
  ), sized AS (
    SELECT number, sum(parts) OVER (ORDER BY number) - parts AS before FROM stalled
  ), touched AS (
    UPDATE katas.dataset_run SET touched_at = now()
    WHERE number IN (SELECT number FROM sized WHERE before < 10000)
    RETURNING number, id, parts_done, cardinality(part_first_rows) AS parts
  ), message AS (
    SELECT number, each.part, json_build_object('run', id, 'part', each.part)::text AS body
    FROM touched CROSS JOIN LATERAL generate_series(1, parts) AS each (part)
    WHERE (parts_done = parts AND each.part = 1)
       OR NOT EXISTS (SELECT FROM katas.dataset_run_part AS stored
                      WHERE stored.run = touched.number AND stored.part = each.part)
  ), added AS (
    INSERT INTO katas.outbox (queue, body)
    SELECT 'katas.runs', body FROM message
    WHERE NOT EXISTS (SELECT FROM katas.outbox WHERE outbox.body = message.body)
    ORDER BY number, part
    RETURNING 1
  )
  SELECT count(*) FROM added
$function$;

-- function: katas.rfc3339(timestamp with time zone)
CREATE OR REPLACE FUNCTION katas.rfc3339(timestamp with time zone)
 RETURNS text
 LANGUAGE sql
 STABLE PARALLEL SAFE STRICT
RETURN to_char(($1 AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'::text);

-- ledger: katas._sqlx_migrations
CREATE TABLE katas._sqlx_migrations (
  version bigint NOT NULL,
  description text NOT NULL,
  installed_on timestamp with time zone DEFAULT now() NOT NULL,
  success boolean NOT NULL,
  checksum bytea NOT NULL,
  execution_time bigint NOT NULL
);

-- ledger: katas._sqlx_migrations._sqlx_migrations_pkey
ALTER TABLE katas._sqlx_migrations ADD CONSTRAINT _sqlx_migrations_pkey PRIMARY KEY (version);

-- table: katas.dataset
CREATE TABLE katas.dataset (
  number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  id uuid DEFAULT gen_random_uuid() NOT NULL,
  name text NOT NULL,
  columns text[] NOT NULL,
  state text DEFAULT 'loading'::text NOT NULL,
  touched_at timestamp with time zone DEFAULT now() NOT NULL,
  rows bigint DEFAULT 0 NOT NULL,
  bytes bigint DEFAULT 0 NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL
);

-- table: katas.dataset_chunk
CREATE TABLE katas.dataset_chunk (
  dataset bigint NOT NULL,
  first_row bigint NOT NULL,
  rows bigint NOT NULL,
  csv text NOT NULL
);

-- table: katas.dataset_row
CREATE TABLE katas.dataset_row (
  dataset bigint NOT NULL,
  "position" bigint NOT NULL,
  size integer NOT NULL,
  fields text[] NOT NULL
);

-- table: katas.dataset_run
CREATE TABLE katas.dataset_run (
  number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  id uuid DEFAULT gen_random_uuid() NOT NULL,
  dataset bigint NOT NULL,
  kata text NOT NULL,
  parameters json NOT NULL,
  result json NOT NULL,
  rows bigint NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  state text DEFAULT 'done'::text NOT NULL,
  prices json,
  part_first_rows bigint[] DEFAULT '{1}'::bigint[] NOT NULL,
  parts_done bigint DEFAULT 1 NOT NULL,
  problem json,
  started_at timestamp with time zone,
  finished_at timestamp with time zone,
  touched_at timestamp with time zone DEFAULT now() NOT NULL,
  idempotency_key text COLLATE "C",
  body_hash bytea
);

-- table: katas.dataset_run_part
CREATE TABLE katas.dataset_run_part (
  run bigint NOT NULL,
  part bigint NOT NULL,
  result text NOT NULL,
  rows bigint NOT NULL
);

-- table: katas.entry
CREATE TABLE katas.entry (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  word text COLLATE "C" NOT NULL,
  definition text NOT NULL,
  version integer DEFAULT 1 NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL
);

-- table: katas.outbox
CREATE TABLE katas.outbox (
  number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  id uuid DEFAULT gen_random_uuid() NOT NULL,
  queue text NOT NULL,
  body text NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  reason text
);

-- table: katas.person
CREATE TABLE katas.person (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  username text NOT NULL,
  email text NOT NULL,
  version integer DEFAULT 1 NOT NULL
);

-- table: katas.price_list
CREATE TABLE katas.price_list (
  name text COLLATE "C" NOT NULL,
  costs json NOT NULL,
  version integer DEFAULT 1 NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL
);

-- table: katas.receipt
CREATE TABLE katas.receipt (
  id uuid DEFAULT gen_random_uuid() NOT NULL,
  number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  idempotency_key text COLLATE "C",
  body_hash bytea,
  lines json NOT NULL,
  ignored json NOT NULL,
  subtotal numeric NOT NULL,
  tax numeric NOT NULL,
  tax_rate numeric NOT NULL,
  total numeric NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL
);

-- column: katas.dataset_chunk.csv
ALTER TABLE katas.dataset_chunk ALTER COLUMN csv SET COMPRESSION lz4;

-- constraint: katas.dataset.dataset_columns_count
ALTER TABLE katas.dataset ADD CONSTRAINT dataset_columns_count CHECK (((cardinality(columns) >= 1) AND (cardinality(columns) <= 1000)));

-- constraint: katas.dataset.dataset_id_key
ALTER TABLE katas.dataset ADD CONSTRAINT dataset_id_key UNIQUE (id);

-- constraint: katas.dataset.dataset_name_length
ALTER TABLE katas.dataset ADD CONSTRAINT dataset_name_length CHECK (((char_length(name) >= 1) AND (char_length(name) <= 200)));

-- constraint: katas.dataset.dataset_pkey
ALTER TABLE katas.dataset ADD CONSTRAINT dataset_pkey PRIMARY KEY (number);

-- constraint: katas.dataset.dataset_state_known
ALTER TABLE katas.dataset ADD CONSTRAINT dataset_state_known CHECK ((state = ANY (ARRAY['loading'::text, 'loaded'::text, 'gone'::text])));

-- constraint: katas.dataset_chunk.dataset_chunk_dataset_fkey
ALTER TABLE katas.dataset_chunk ADD CONSTRAINT dataset_chunk_dataset_fkey FOREIGN KEY (dataset) REFERENCES katas.dataset(number) ON DELETE CASCADE;

-- constraint: katas.dataset_chunk.dataset_chunk_pkey
ALTER TABLE katas.dataset_chunk ADD CONSTRAINT dataset_chunk_pkey PRIMARY KEY (dataset, first_row);

-- constraint: katas.dataset_row.dataset_row_pkey
ALTER TABLE katas.dataset_row ADD CONSTRAINT dataset_row_pkey PRIMARY KEY (dataset, "position");

-- constraint: katas.dataset_run.dataset_run_dataset_fkey
ALTER TABLE katas.dataset_run ADD CONSTRAINT dataset_run_dataset_fkey FOREIGN KEY (dataset) REFERENCES katas.dataset(number) ON DELETE CASCADE;

-- constraint: katas.dataset_run.dataset_run_id_key
ALTER TABLE katas.dataset_run ADD CONSTRAINT dataset_run_id_key UNIQUE (id);

-- constraint: katas.dataset_run.dataset_run_kata_known
ALTER TABLE katas.dataset_run ADD CONSTRAINT dataset_run_kata_known CHECK ((kata = ANY (ARRAY['nth-char'::text, 'spending'::text])));

-- constraint: katas.dataset_run.dataset_run_pkey
ALTER TABLE katas.dataset_run ADD CONSTRAINT dataset_run_pkey PRIMARY KEY (number);

-- constraint: katas.dataset_run.dataset_run_progress_valid
ALTER TABLE katas.dataset_run ADD CONSTRAINT dataset_run_progress_valid CHECK (((state = ANY (ARRAY['queued'::text, 'running'::text, 'done'::text, 'failed'::text])) AND ((parts_done >= 0) AND (parts_done <= cardinality(part_first_rows)))));

-- constraint: katas.dataset_run_part.dataset_run_part_pkey
ALTER TABLE katas.dataset_run_part ADD CONSTRAINT dataset_run_part_pkey PRIMARY KEY (run, part);

-- constraint: katas.dataset_run_part.dataset_run_part_run_fkey
ALTER TABLE katas.dataset_run_part ADD CONSTRAINT dataset_run_part_run_fkey FOREIGN KEY (run) REFERENCES katas.dataset_run(number) ON DELETE CASCADE;

-- constraint: katas.entry.entry_definition_length
ALTER TABLE katas.entry ADD CONSTRAINT entry_definition_length CHECK ((char_length(definition) <= 10000));

-- constraint: katas.entry.entry_pkey
ALTER TABLE katas.entry ADD CONSTRAINT entry_pkey PRIMARY KEY (id);

-- constraint: katas.entry.entry_word_key
ALTER TABLE katas.entry ADD CONSTRAINT entry_word_key UNIQUE (word);

-- constraint: katas.entry.entry_word_length
ALTER TABLE katas.entry ADD CONSTRAINT entry_word_length CHECK (((char_length(word) >= 1) AND (char_length(word) <= 200)));

-- constraint: katas.outbox.outbox_pkey
ALTER TABLE katas.outbox ADD CONSTRAINT outbox_pkey PRIMARY KEY (number);

-- constraint: katas.person.person_email_length
ALTER TABLE katas.person ADD CONSTRAINT person_email_length CHECK (((char_length(email) >= 3) AND (char_length(email) <= 254)));

-- constraint: katas.person.person_pkey
ALTER TABLE katas.person ADD CONSTRAINT person_pkey PRIMARY KEY (id);

-- constraint: katas.person.person_username_length
ALTER TABLE katas.person ADD CONSTRAINT person_username_length CHECK (((char_length(username) >= 1) AND (char_length(username) <= 100)));

-- constraint: katas.price_list.price_list_costs_object
ALTER TABLE katas.price_list ADD CONSTRAINT price_list_costs_object CHECK ((json_typeof(costs) = 'object'::text));

-- constraint: katas.price_list.price_list_name_length
ALTER TABLE katas.price_list ADD CONSTRAINT price_list_name_length CHECK (((char_length(name) >= 1) AND (char_length(name) <= 200)));

-- constraint: katas.price_list.price_list_pkey
ALTER TABLE katas.price_list ADD CONSTRAINT price_list_pkey PRIMARY KEY (name);

-- constraint: katas.receipt.receipt_adds_up
ALTER TABLE katas.receipt ADD CONSTRAINT receipt_adds_up CHECK (((subtotal + tax) = total));

-- constraint: katas.receipt.receipt_idempotency_key_key
ALTER TABLE katas.receipt ADD CONSTRAINT receipt_idempotency_key_key UNIQUE (idempotency_key);

-- constraint: katas.receipt.receipt_idempotency_key_length
ALTER TABLE katas.receipt ADD CONSTRAINT receipt_idempotency_key_length CHECK (((char_length(idempotency_key) >= 1) AND (char_length(idempotency_key) <= 255)));

-- constraint: katas.receipt.receipt_key_has_body
ALTER TABLE katas.receipt ADD CONSTRAINT receipt_key_has_body CHECK (((idempotency_key IS NULL) = (body_hash IS NULL)));

-- constraint: katas.receipt.receipt_not_negative
ALTER TABLE katas.receipt ADD CONSTRAINT receipt_not_negative CHECK (((subtotal >= (0)::numeric) AND (tax >= (0)::numeric) AND (tax_rate >= (0)::numeric) AND (total >= (0)::numeric)));

-- constraint: katas.receipt.receipt_number_key
ALTER TABLE katas.receipt ADD CONSTRAINT receipt_number_key UNIQUE (number);

-- constraint: katas.receipt.receipt_pkey
ALTER TABLE katas.receipt ADD CONSTRAINT receipt_pkey PRIMARY KEY (id);

-- index: katas.dataset_run_dataset
CREATE INDEX dataset_run_dataset ON katas.dataset_run USING btree (dataset, number);

-- index: katas.dataset_run_idempotency_key
CREATE UNIQUE INDEX dataset_run_idempotency_key ON katas.dataset_run USING btree (dataset, idempotency_key);

-- index: katas.dataset_run_unfinished
CREATE INDEX dataset_run_unfinished ON katas.dataset_run USING btree (number) WHERE (state = ANY (ARRAY['queued'::text, 'running'::text]));

-- index: katas.dataset_unloaded
CREATE INDEX dataset_unloaded ON katas.dataset USING btree (number) WHERE (state <> 'loaded'::text);

-- trigger: katas.dataset_chunk.dataset_chunk_added
CREATE TRIGGER dataset_chunk_added AFTER INSERT ON katas.dataset_chunk FOR EACH ROW EXECUTE FUNCTION katas.dataset_chunk_added();

-- trigger: katas.dataset_chunk.dataset_chunk_deleted
CREATE TRIGGER dataset_chunk_deleted AFTER DELETE ON katas.dataset_chunk FOR EACH ROW EXECUTE FUNCTION katas.dataset_chunk_deleted();

-- trigger: katas.dataset_row.dataset_row_added
CREATE TRIGGER dataset_row_added AFTER INSERT ON katas.dataset_row REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION katas.dataset_row_added();

-- session: as the administrator
RESET ROLE;

-- grant: katas to katas_app
GRANT USAGE ON SCHEMA katas TO katas_app;

-- grant: katas to katas_courier
GRANT USAGE ON SCHEMA katas TO katas_courier;

-- grant: katas._sqlx_migrations to katas_app
GRANT SELECT ON TABLE katas._sqlx_migrations TO katas_app;

-- grant: katas.dataset to katas_app
GRANT SELECT, INSERT, DELETE ON TABLE katas.dataset TO katas_app;

-- grant: katas.dataset.bytes to katas_app
GRANT UPDATE (bytes) ON TABLE katas.dataset TO katas_app;

-- grant: katas.dataset.rows to katas_app
GRANT UPDATE (rows) ON TABLE katas.dataset TO katas_app;

-- grant: katas.dataset.state to katas_app
GRANT UPDATE (state) ON TABLE katas.dataset TO katas_app;

-- grant: katas.dataset.touched_at to katas_app
GRANT UPDATE (touched_at) ON TABLE katas.dataset TO katas_app;

-- grant: katas.dataset_chunk to katas_app
GRANT SELECT, INSERT, DELETE ON TABLE katas.dataset_chunk TO katas_app;

-- grant: katas.dataset_row to katas_app
GRANT SELECT, INSERT, DELETE ON TABLE katas.dataset_row TO katas_app;

-- grant: katas.dataset_run to katas_app
GRANT SELECT, INSERT, DELETE ON TABLE katas.dataset_run TO katas_app;

-- grant: katas.dataset_run.finished_at to katas_app
GRANT UPDATE (finished_at) ON TABLE katas.dataset_run TO katas_app;

-- grant: katas.dataset_run.idempotency_key to katas_app
GRANT UPDATE (idempotency_key) ON TABLE katas.dataset_run TO katas_app;

-- grant: katas.dataset_run.parts_done to katas_app
GRANT UPDATE (parts_done) ON TABLE katas.dataset_run TO katas_app;

-- grant: katas.dataset_run.prices to katas_app
GRANT UPDATE (prices) ON TABLE katas.dataset_run TO katas_app;

-- grant: katas.dataset_run.problem to katas_app
GRANT UPDATE (problem) ON TABLE katas.dataset_run TO katas_app;

-- grant: katas.dataset_run.result to katas_app
GRANT UPDATE (result) ON TABLE katas.dataset_run TO katas_app;

-- grant: katas.dataset_run.rows to katas_app
GRANT UPDATE (rows) ON TABLE katas.dataset_run TO katas_app;

-- grant: katas.dataset_run.started_at to katas_app
GRANT UPDATE (started_at) ON TABLE katas.dataset_run TO katas_app;

-- grant: katas.dataset_run.state to katas_app
GRANT UPDATE (state) ON TABLE katas.dataset_run TO katas_app;

-- grant: katas.dataset_run.touched_at to katas_app
GRANT UPDATE (touched_at) ON TABLE katas.dataset_run TO katas_app;

-- grant: katas.dataset_run_part to katas_app
GRANT SELECT, INSERT, DELETE ON TABLE katas.dataset_run_part TO katas_app;

-- grant: katas.entry to katas_app
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE katas.entry TO katas_app;

-- grant: katas.outbox to katas_courier
GRANT SELECT, DELETE ON TABLE katas.outbox TO katas_courier;

-- grant: katas.outbox.body to katas_app
GRANT INSERT (body) ON TABLE katas.outbox TO katas_app;

-- grant: katas.outbox.queue to katas_app
GRANT INSERT (queue) ON TABLE katas.outbox TO katas_app;

-- grant: katas.outbox.reason to katas_courier
GRANT UPDATE (reason) ON TABLE katas.outbox TO katas_courier;

-- grant: katas.person to katas_app
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE katas.person TO katas_app;

-- grant: katas.price_list to katas_app
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE katas.price_list TO katas_app;

-- grant: katas.receipt to katas_app
GRANT SELECT, INSERT ON TABLE katas.receipt TO katas_app;

-- grant: katas.receipt.idempotency_key to katas_app
GRANT UPDATE (idempotency_key) ON TABLE katas.receipt TO katas_app;

-- grant: katas.requeue_stalled_runs() to katas_courier
GRANT EXECUTE ON FUNCTION katas.requeue_stalled_runs() TO katas_courier;

-- grant: katas.rfc3339(timestamp with time zone) to katas_app
GRANT EXECUTE ON FUNCTION katas.rfc3339(timestamp with time zone) TO katas_app;

-- revoke: katas.convert_dataset_rows(target bigint) from PUBLIC
REVOKE EXECUTE ON FUNCTION katas.convert_dataset_rows(target bigint) FROM PUBLIC;

-- revoke: katas.dataset_chunk_added() from PUBLIC
REVOKE EXECUTE ON FUNCTION katas.dataset_chunk_added() FROM PUBLIC;

-- revoke: katas.dataset_chunk_deleted() from PUBLIC
REVOKE EXECUTE ON FUNCTION katas.dataset_chunk_deleted() FROM PUBLIC;

-- revoke: katas.dataset_chunk_rows(csv text) from PUBLIC
REVOKE EXECUTE ON FUNCTION katas.dataset_chunk_rows(csv text) FROM PUBLIC;

-- revoke: katas.dataset_row_added() from PUBLIC
REVOKE EXECUTE ON FUNCTION katas.dataset_row_added() FROM PUBLIC;

-- revoke: katas.dataset_row_csv(fields text[]) from PUBLIC
REVOKE EXECUTE ON FUNCTION katas.dataset_row_csv(fields text[]) FROM PUBLIC;

-- revoke: katas.requeue_stalled_runs() from PUBLIC
REVOKE EXECUTE ON FUNCTION katas.requeue_stalled_runs() FROM PUBLIC;

-- revoke: katas.rfc3339(timestamp with time zone) from PUBLIC
REVOKE EXECUTE ON FUNCTION katas.rfc3339(timestamp with time zone) FROM PUBLIC;

-- default privileges: katas_owner, functions from PUBLIC
ALTER DEFAULT PRIVILEGES FOR ROLE katas_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
