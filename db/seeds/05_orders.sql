-- Who bought what and when, in the shop `clothes`: rows of the dataset `orders`.
--
-- rows: 1000, scales
-- fake: day date(2025-01-01, 2025-12-31)
-- fake: customer full_name
-- fake: city city
-- fake: item choice(socks, socks, socks, shoes, sweater, shirt, shirt, trousers, coat, scarf, hat)
--
-- Several of these can run at the same time, each with other rows: until the last of them has ended,
-- some of the rows may be missing. Rows cannot be added to a deleted dataset.

WITH new AS MATERIALIZED (
  -- None of these fields has to be quoted.
  SELECT n, concat_ws(',', day, customer, city, item) || E'\r\n' AS line FROM pg_temp.fake
), added AS (
  INSERT INTO katas.dataset_chunk (dataset, first_row, rows, csv)
  SELECT (SELECT number FROM katas.dataset
          WHERE id = '00000000-0000-4000-8000-000000000001' AND state = 'loaded'),
         min(n), count(*), string_agg(line, '' ORDER BY n)
  FROM new
  -- About 64 KiB each.
  GROUP BY n / 1000
)
UPDATE katas.dataset
SET rows = rows + (SELECT count(*) FROM new),
    bytes = bytes + (SELECT sum(octet_length(line)) FROM new),
    touched_at = now()
WHERE id = '00000000-0000-4000-8000-000000000001';
