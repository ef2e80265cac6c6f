-- The part of the schema that the courier uses.
CREATE SCHEMA katas;
CREATE TABLE katas.outbox (
  number bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT outbox_pkey PRIMARY KEY,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  queue text NOT NULL,
  body text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  reason text
);
CREATE FUNCTION katas.requeue_stalled_runs() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$
  WITH added AS (
    INSERT INTO katas.outbox (queue, body)
    SELECT 'katas.runs', '{"run":"stalled","part":1}'
    WHERE to_regclass('public.stalled') IS NOT NULL
    RETURNING number
  )
  SELECT count(*) FROM added
$$;
REVOKE EXECUTE ON FUNCTION katas.requeue_stalled_runs() FROM PUBLIC;
GRANT USAGE ON SCHEMA katas TO katas_courier;
GRANT SELECT, DELETE, UPDATE (reason) ON katas.outbox TO katas_courier;
GRANT EXECUTE ON FUNCTION katas.requeue_stalled_runs() TO katas_courier;
