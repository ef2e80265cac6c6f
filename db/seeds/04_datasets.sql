-- Two datasets without rows, for the next seeds to fill.

INSERT INTO katas.dataset (id, name, columns, state, bytes)
SELECT id, name, columns, 'loaded',
       -- The header of the dataset written as CSV. None of these names has to be quoted.
       octet_length(array_to_string(columns, ',')) + 2
FROM (VALUES
  ('00000000-0000-4000-8000-000000000001'::uuid, 'orders', ARRAY['day', 'customer', 'city', 'item']),
  ('00000000-0000-4000-8000-000000000002'::uuid, 'sentences', ARRAY['sentence'])
) AS new (id, name, columns)
ORDER BY id;
