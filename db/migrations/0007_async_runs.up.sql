-- no-transaction
--
-- Asynchronous runs: a run is stored with one message for each of its parts, and a part is one
-- request. The previous build, whose pods run until the rollout ends, stores and reads runs as before:
-- its runs are done, and it shows an unfinished run with an empty result.

-- Messages that wait to be delivered.
CREATE TABLE IF NOT EXISTS katas.outbox (
  number bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT outbox_pkey PRIMARY KEY,
  -- The message_id of the published message.
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  queue text NOT NULL,
  -- A JSON object: the body of the request that delivers the message.
  body text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  -- Without a broker: why the message was not accepted. NULL for messages that wait.
  reason text
);

GRANT INSERT (queue, body) ON katas.outbox TO katas_app;
GRANT SELECT, DELETE, UPDATE (reason) ON katas.outbox TO katas_courier;
GRANT USAGE ON SCHEMA katas TO katas_courier;

ALTER TABLE katas.dataset_run
  ADD COLUMN IF NOT EXISTS state text NOT NULL DEFAULT 'done',
  -- The price list at the time of the request, until the run is finished.
  ADD COLUMN IF NOT EXISTS prices json,
  -- The first row of each part, in order. The row that follows the last part follows the dataset.
  ADD COLUMN IF NOT EXISTS part_first_rows bigint[] NOT NULL DEFAULT '{1}',
  ADD COLUMN IF NOT EXISTS parts_done bigint NOT NULL DEFAULT 1,
  -- Problem details of a failed run.
  ADD COLUMN IF NOT EXISTS problem json,
  -- NULL for runs of earlier builds, as is `finished_at`.
  ADD COLUMN IF NOT EXISTS started_at timestamptz,
  ADD COLUMN IF NOT EXISTS finished_at timestamptz,
  -- The time of the last progress.
  ADD COLUMN IF NOT EXISTS touched_at timestamptz NOT NULL DEFAULT now(),
  ADD COLUMN IF NOT EXISTS idempotency_key text COLLATE "C",
  -- SHA-256 of the request body.
  ADD COLUMN IF NOT EXISTS body_hash bytea;

ALTER TABLE katas.dataset_run
  -- squawk-ignore prefer-robust-stmts -- its record is in the same transaction
  ADD CONSTRAINT dataset_run_progress_valid
    CHECK (state IN ('queued', 'running', 'done', 'failed')
           AND parts_done BETWEEN 0 AND cardinality(part_first_rows)) NOT VALID;

ALTER TABLE katas.dataset_run
  -- squawk-ignore prefer-robust-stmts -- its record is in the same transaction
  VALIDATE CONSTRAINT dataset_run_progress_valid;

-- An idempotency key belongs to the runs of one dataset.
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS dataset_run_idempotency_key
  ON katas.dataset_run (dataset, idempotency_key);

-- Few among many.
CREATE INDEX CONCURRENTLY IF NOT EXISTS dataset_run_unfinished
  ON katas.dataset_run (number) WHERE state IN ('queued', 'running');

-- The results of the parts of unfinished runs.
CREATE TABLE IF NOT EXISTS katas.dataset_run_part (
  run bigint NOT NULL,
  -- From 1.
  part bigint NOT NULL,
  -- Of nth-char: the characters. Of spending: rows of CSV with a group and its sum.
  result text NOT NULL,
  -- The number of rows read.
  rows bigint NOT NULL,

  CONSTRAINT dataset_run_part_pkey PRIMARY KEY (run, part),
  CONSTRAINT dataset_run_part_run_fkey
    FOREIGN KEY (run) REFERENCES katas.dataset_run ON DELETE CASCADE
);

GRANT DELETE, UPDATE (state, result, rows, prices, parts_done, problem, started_at, finished_at,
                      touched_at, idempotency_key)
  ON katas.dataset_run TO katas_app;
GRANT SELECT, INSERT, DELETE ON katas.dataset_run_part TO katas_app;

-- Repeats the messages of runs without progress for ten minutes, in case messages have been lost. If
-- all parts are stored, the message of any part completes the run. The interval doubles with each
-- repetition, because messages may only wait in a long queue, which more messages make longer. Adds
-- about 10,000 messages at a time. Returns their number.
CREATE OR REPLACE FUNCTION katas.requeue_stalled_runs() RETURNS bigint
  LANGUAGE sql SECURITY DEFINER SET search_path = ''
AS $$
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
$$;

GRANT EXECUTE ON FUNCTION katas.requeue_stalled_runs() TO katas_courier;
