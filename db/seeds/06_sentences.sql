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
  -- None of these sentences has to be quoted.
  SELECT n, format('%s of %s (%s) %s %s on a %s.', name, city, profession, verb, friend, weekday)
            || E'\r\n' AS line
  FROM pg_temp.fake
), added AS (
  INSERT INTO katas.dataset_chunk (dataset, first_row, rows, csv)
  SELECT (SELECT number FROM katas.dataset
          WHERE id = '00000000-0000-4000-8000-000000000002' AND state = 'loaded'),
         min(n), count(*), string_agg(line, '' ORDER BY n)
  FROM new
)
UPDATE katas.dataset
SET rows = rows + (SELECT count(*) FROM new),
    bytes = bytes + (SELECT sum(octet_length(line)) FROM new),
    touched_at = now()
WHERE id = '00000000-0000-4000-8000-000000000002';
