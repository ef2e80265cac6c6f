-- Who bought what and when, in the shop `clothes`: rows of the dataset `orders`.
--
-- rows: 1000, scales
-- fake: day date(2025-01-01, 2025-12-31)
-- fake: customer full_name
-- fake: city city
-- fake: item choice(socks, socks, socks, shoes, sweater, shirt, shirt, trousers, coat, scarf, hat)
--
-- Several of these can run at the same time, each with other rows: until the last of them has ended,
-- some of the positions may be missing. A dataset that somebody has removed cannot be added to.

WITH new AS MATERIALIZED (
  SELECT n, ARRAY[day::text, customer, city, item] AS fields FROM pg_temp.fake
), added AS (
  INSERT INTO katas.dataset_row (dataset, position, size, fields)
  SELECT (SELECT number FROM katas.dataset
          WHERE id = '00000000-0000-4000-8000-000000000001' AND state = 'loaded'),
         n, octet_length(fields::text), fields
  FROM new
  ORDER BY n
)
UPDATE katas.dataset
SET rows = rows + (SELECT count(*) FROM new),
    -- As CSV, a row ends with two characters, and none of these fields has to be quoted.
    bytes = bytes + (SELECT sum(octet_length(array_to_string(fields, ',')) + 2) FROM new),
    touched_at = now()
WHERE id = '00000000-0000-4000-8000-000000000001';
