-- Purges obsolete rows. `migrate sweep` repeats each statement until it changes no rows. Each
-- execution of a statement is a separate short transaction, so an interrupted sweep keeps its
-- progress.

-- An upload that has made no progress for 15 minutes was abandoned. A client that stalls is
-- disconnected after 30 seconds.
UPDATE katas.dataset SET state = 'gone'
WHERE state = 'loading' AND touched_at < now() - interval '15 minutes';

-- The chunks of deleted datasets, and their rows in `katas.dataset_row`. Skips datasets that another
-- session has locked.
DELETE FROM katas.dataset_chunk
WHERE (dataset, first_row) IN (
  SELECT dataset, first_row
  FROM katas.dataset
  CROSS JOIN LATERAL (
    SELECT dataset, first_row FROM katas.dataset_chunk
    WHERE dataset = number ORDER BY first_row LIMIT 100
  ) AS chunk
  WHERE state = 'gone'
  LIMIT 100
  FOR UPDATE OF dataset SKIP LOCKED
);

DELETE FROM katas.dataset
WHERE number IN (
  SELECT number FROM katas.dataset
  WHERE state = 'gone'
    AND NOT EXISTS (SELECT FROM katas.dataset_chunk WHERE dataset = number)
  FOR UPDATE SKIP LOCKED
);

-- Retries happen within minutes of the first request. Keeps the receipt and clears its idempotency
-- key.
UPDATE katas.receipt SET idempotency_key = NULL, body_hash = NULL
WHERE number IN (
  SELECT number FROM katas.receipt
  WHERE idempotency_key IS NOT NULL AND created_at < now() - interval '30 days'
  LIMIT 10000
);

-- The same for runs.
UPDATE katas.dataset_run SET idempotency_key = NULL, body_hash = NULL
WHERE number IN (
  SELECT number FROM katas.dataset_run
  WHERE idempotency_key IS NOT NULL AND created_at < now() - interval '30 days'
  LIMIT 10000
);
