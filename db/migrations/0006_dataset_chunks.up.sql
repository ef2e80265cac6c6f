-- no-transaction
--
-- Stores the rows of datasets as chunks of CSV text. The previous build, whose pods run until the
-- rollout ends, reads and writes `katas.dataset_row`: triggers copy what either build writes into the
-- table of the other. A later migration drops the triggers, their functions and `katas.dataset_row`.

CREATE TABLE IF NOT EXISTS katas.dataset_chunk (
  dataset bigint NOT NULL,
  -- The number of the first row, from 1. Chunks have no gaps between them.
  first_row bigint NOT NULL,
  rows bigint NOT NULL,
  -- Complete rows, about 64 KiB. RFC 4180: every row ends with CRLF, and fields are quoted only where
  -- necessary. The CSV export is the header followed by all chunks.
  csv text NOT NULL,

  CONSTRAINT dataset_chunk_pkey PRIMARY KEY (dataset, first_row),
  -- The previous build deletes datasets without deleting their chunks. At most 64 MiB depend on one.
  CONSTRAINT dataset_chunk_dataset_fkey
    FOREIGN KEY (dataset) REFERENCES katas.dataset ON DELETE CASCADE
);

-- lz4 saves up to three quarters of the space and takes no measurable time. pglz, the default, makes a
-- load take five times as long, so without lz4 the text is not compressed.
DO $$
BEGIN
  ALTER TABLE katas.dataset_chunk ALTER COLUMN csv SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
  ALTER TABLE katas.dataset_chunk ALTER COLUMN csv SET STORAGE EXTERNAL;
END
$$;

GRANT SELECT, INSERT, DELETE ON katas.dataset_chunk TO katas_app;

-- A row as CSV.
CREATE OR REPLACE FUNCTION katas.dataset_row_csv(fields text[]) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  SELECT CASE
    -- A blank line would be no row.
    WHEN fields = '{""}' THEN '""'
    WHEN array_to_string(fields, '') !~ E'[",\r\n]' THEN array_to_string(fields, ',')
    ELSE (SELECT string_agg(CASE WHEN field ~ E'[",\r\n]'
                                 THEN '"' || replace(field, '"', '""') || '"' ELSE field END,
                            ',' ORDER BY place)
          FROM unnest(fields) WITH ORDINALITY AS each (field, place))
  END || E'\r\n'
$$;

-- The rows of a chunk: their places, from 1, and their fields.
CREATE OR REPLACE FUNCTION katas.dataset_chunk_rows(csv text)
  RETURNS TABLE (place bigint, fields text[])
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
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
$$;

-- Stores the next rows of a dataset that have no chunk yet: up to 10,000, or 4 MiB. Returns their
-- number. The caller holds the lock of the dataset.
CREATE OR REPLACE FUNCTION katas.convert_dataset_rows(target bigint) RETURNS bigint
  LANGUAGE sql
AS $$
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
$$;

-- Converts the rows that the previous build adds. Its batches are smaller than the limit.
CREATE OR REPLACE FUNCTION katas.dataset_row_added() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
BEGIN
  PERFORM katas.convert_dataset_rows(dataset)
  FROM (SELECT DISTINCT dataset FROM added WHERE dataset > 0) AS changed;
  RETURN NULL;
END
$$;

-- Adds the rows of a new chunk for the previous build, while it may still run: row 0 of dataset 0,
-- which no dataset has, says so. The rows of a converted chunk exist already.
CREATE OR REPLACE FUNCTION katas.dataset_chunk_added() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
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
$$;

-- Deletes the rows of a deleted chunk.
CREATE OR REPLACE FUNCTION katas.dataset_chunk_deleted() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
BEGIN
  DELETE FROM katas.dataset_row
  WHERE dataset = OLD.dataset
    AND position >= OLD.first_row AND position < OLD.first_row + OLD.rows;
  RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER dataset_row_added AFTER INSERT ON katas.dataset_row
  REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION katas.dataset_row_added();

CREATE OR REPLACE TRIGGER dataset_chunk_added AFTER INSERT ON katas.dataset_chunk
  FOR EACH ROW EXECUTE FUNCTION katas.dataset_chunk_added();

CREATE OR REPLACE TRIGGER dataset_chunk_deleted AFTER DELETE ON katas.dataset_chunk
  FOR EACH ROW EXECUTE FUNCTION katas.dataset_chunk_deleted();

-- A database that the previous build has used. One that this run of `migrate` has created has no
-- pods of the previous build.
INSERT INTO katas.dataset_row (dataset, position, size, fields)
SELECT 0, 0, 0, '{}'
WHERE EXISTS (SELECT FROM katas.dataset)
   OR (SELECT installed_on FROM katas._sqlx_migrations WHERE version = 5)
        < now() - interval '10 minutes'
ON CONFLICT DO NOTHING;

-- Converts all datasets, in one transaction per batch. The triggers above convert whatever is added
-- from now on.
CREATE OR REPLACE PROCEDURE katas.convert_datasets()
  LANGUAGE plpgsql
AS $$
DECLARE
  target bigint;
BEGIN
  FOR target IN SELECT number FROM katas.dataset ORDER BY number LOOP
    LOOP
      PERFORM FROM katas.dataset WHERE number = target FOR UPDATE;
      EXIT WHEN NOT FOUND OR katas.convert_dataset_rows(target) = 0;
      COMMIT;
    END LOOP;
    COMMIT;
  END LOOP;
END
$$;

-- Each batch is a transaction, but all of them are one statement.
SET statement_timeout = 0;

CALL katas.convert_datasets();

-- squawk-ignore ban-drop-function -- only this file calls it
DROP PROCEDURE IF EXISTS katas.convert_datasets();
