-- How much will you spend: price lists, and receipts with the prices of their moment.

CREATE TABLE katas.price_list (
  -- Compared and ordered by its bytes, on every machine.
  name text COLLATE "C" NOT NULL CONSTRAINT price_list_pkey PRIMARY KEY,
  -- Prices by item, with the digits and in the order in which they were given: json, not jsonb.
  costs json NOT NULL,
  -- Grows with every change.
  -- squawk-ignore prefer-bigint-over-int -- nobody changes one row two thousand million times
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT price_list_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
  CONSTRAINT price_list_costs_object CHECK (json_typeof(costs) = 'object')
);

GRANT SELECT, INSERT, UPDATE, DELETE ON katas.price_list TO katas_app;

CREATE TABLE katas.receipt (
  id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT receipt_pkey PRIMARY KEY,
  -- The order in which receipts were made.
  number bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT receipt_number_key UNIQUE,
  -- What the client calls its attempt: a second one with the same key gets the same receipt.
  idempotency_key text COLLATE "C" CONSTRAINT receipt_idempotency_key_key UNIQUE,
  -- SHA-256 of the request's body, to tell a second attempt from another order.
  body_hash bytea,
  lines json NOT NULL,
  ignored json NOT NULL,
  subtotal numeric NOT NULL,
  tax numeric NOT NULL,
  tax_rate numeric NOT NULL,
  total numeric NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT receipt_idempotency_key_length
    CHECK (char_length(idempotency_key) BETWEEN 1 AND 255),
  CONSTRAINT receipt_key_has_body CHECK ((idempotency_key IS NULL) = (body_hash IS NULL)),
  CONSTRAINT receipt_adds_up CHECK (subtotal + tax = total),
  CONSTRAINT receipt_not_negative
    CHECK (subtotal >= 0 AND tax >= 0 AND tax_rate >= 0 AND total >= 0)
);

-- A receipt is never changed: the one column is "updated" to what it is, to get hold of its row.
GRANT SELECT, INSERT, UPDATE (idempotency_key) ON katas.receipt TO katas_app;
