-- Undoes 0007_async_runs. Runs that are not done are lost, and so are waiting messages.

DROP FUNCTION katas.requeue_stalled_runs();
DROP TABLE katas.dataset_run_part;

DELETE FROM katas.dataset_run WHERE state <> 'done';

REVOKE DELETE, UPDATE ON katas.dataset_run FROM katas_app;

-- Drops their indexes and constraints too.
ALTER TABLE katas.dataset_run
  DROP COLUMN state,
  DROP COLUMN prices,
  DROP COLUMN part_first_rows,
  DROP COLUMN parts_done,
  DROP COLUMN problem,
  DROP COLUMN started_at,
  DROP COLUMN finished_at,
  DROP COLUMN touched_at,
  DROP COLUMN idempotency_key,
  DROP COLUMN body_hash;

DROP TABLE katas.outbox;

REVOKE USAGE ON SCHEMA katas FROM katas_courier;
