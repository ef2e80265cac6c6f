-- Datasets: tables of text, loaded from CSV.

CREATE TABLE katas.dataset (
  -- The order in which datasets were begun; never reused.
  number bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT dataset_pkey PRIMARY KEY,
  -- What clients know it by.
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  name text NOT NULL,
  columns text[] NOT NULL,
  -- Only what is loaded can be seen. What is gone waits for its rows to be swept.
  state text NOT NULL DEFAULT 'loading',
  -- When rows were added last: a load that has been silent for long has been abandoned.
  touched_at timestamptz NOT NULL DEFAULT now(),
  rows bigint NOT NULL DEFAULT 0,
  -- The length of the whole dataset written as CSV.
  bytes bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT dataset_id_key UNIQUE (id),
  CONSTRAINT dataset_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
  CONSTRAINT dataset_columns_count CHECK (cardinality(columns) BETWEEN 1 AND 1000),
  CONSTRAINT dataset_state_known CHECK (state IN ('loading', 'loaded', 'gone'))
);

-- What has to be swept, or may have to be: few among many.
CREATE INDEX dataset_unloaded ON katas.dataset (number) WHERE state <> 'loaded';

-- No foreign key: it would look the dataset up for every row, and a cascade would remove millions of
-- rows in one statement. Rows are only added by a statement that holds their dataset while it is
-- loading, and swept before their dataset.
CREATE TABLE katas.dataset_row (
  dataset bigint NOT NULL,
  -- From 1, without gaps.
  position bigint NOT NULL,
  -- About the bytes of the fields, so that a page can end before it reads them.
  -- squawk-ignore prefer-bigint-over-int -- PostgreSQL keeps no row of more than 1 GB
  size integer NOT NULL,
  fields text[] NOT NULL,

  CONSTRAINT dataset_row_pkey PRIMARY KEY (dataset, position)
);

-- What a kata made of a dataset.
CREATE TABLE katas.dataset_run (
  -- The order in which runs were stored.
  number bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT dataset_run_pkey PRIMARY KEY,
  -- What clients know it by.
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  dataset bigint NOT NULL,
  kata text NOT NULL,
  -- Numbers with the digits that they have: json, not jsonb.
  parameters json NOT NULL,
  result json NOT NULL,
  -- How many rows it took.
  rows bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT dataset_run_id_key UNIQUE (id),
  CONSTRAINT dataset_run_dataset_fkey FOREIGN KEY (dataset) REFERENCES katas.dataset ON DELETE CASCADE,
  CONSTRAINT dataset_run_kata_known CHECK (kata IN ('nth-char', 'spending'))
);

CREATE INDEX dataset_run_dataset ON katas.dataset_run (dataset, number);

GRANT SELECT, INSERT, DELETE, UPDATE (state, touched_at, rows, bytes) ON katas.dataset TO katas_app;
GRANT SELECT, INSERT, DELETE ON katas.dataset_row TO katas_app;
GRANT SELECT, INSERT ON katas.dataset_run TO katas_app;
