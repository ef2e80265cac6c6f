-- Sentences to take characters from: rows of the dataset `sentences`.
--
-- rows: 1000
-- fake: name full_name
-- fake: profession profession
-- fake: city city
-- fake: verb choice(met, missed, visited, thanked, called, surprised, recognised, invited)
-- fake: friend first_name
-- fake: weekday choice(Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday)

WITH new AS MATERIALIZED (
  SELECT n, format('%s of %s (%s) %s %s on a %s.', name, city, profession, verb, friend, weekday) AS line
  FROM pg_temp.fake
), added AS (
  INSERT INTO katas.dataset_row (dataset, position, size, fields)
  SELECT (SELECT number FROM katas.dataset
          WHERE id = '00000000-0000-4000-8000-000000000002' AND state = 'loaded'),
         n, octet_length(ARRAY[line]::text), ARRAY[line]
  FROM new
  ORDER BY n
)
UPDATE katas.dataset
SET rows = rows + (SELECT count(*) FROM new),
    -- As CSV, a row ends with two characters, and none of these sentences has to be quoted.
    bytes = bytes + (SELECT sum(octet_length(line) + 2) FROM new),
    touched_at = now()
WHERE id = '00000000-0000-4000-8000-000000000002';
