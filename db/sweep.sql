-- What nobody needs any more. `migrate sweep` runs each statement again and again until it changes
-- nothing, each time as a transaction of its own: each is short, and what it has done stays done.

-- A load that has been silent for so long has been abandoned. Its guest lives no longer than that.
UPDATE katas.dataset SET state = 'gone'
WHERE state = 'loading' AND touched_at < now() - interval '15 minutes';

-- The rows of what is gone. Somebody else may be at it, who then is not waited for.
DELETE FROM katas.dataset_row
WHERE (dataset, position) IN (
  SELECT dataset, position
  FROM katas.dataset
  CROSS JOIN LATERAL (
    SELECT dataset, position FROM katas.dataset_row
    WHERE dataset = number ORDER BY position LIMIT 50000
  ) AS row
  WHERE state = 'gone'
  LIMIT 50000
  FOR UPDATE OF dataset SKIP LOCKED
);

DELETE FROM katas.dataset
WHERE number IN (
  SELECT number FROM katas.dataset
  WHERE state = 'gone'
    AND NOT EXISTS (SELECT FROM katas.dataset_row WHERE dataset = number)
  FOR UPDATE SKIP LOCKED
);

-- Who repeats a request does so within minutes. The receipt stays, its key is forgotten.
UPDATE katas.receipt SET idempotency_key = NULL, body_hash = NULL
WHERE number IN (
  SELECT number FROM katas.receipt
  WHERE idempotency_key IS NOT NULL AND created_at < now() - interval '30 days'
  LIMIT 10000
);
