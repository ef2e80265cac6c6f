-- The dictionary: words and what they mean.

CREATE TABLE katas.entry (
  -- The order in which entries were added. Never reused, so it tells an entry from one that had
  -- the same word before it.
  id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT entry_pkey PRIMARY KEY,
  -- Compared and ordered by its bytes: `Apple` and `apple` are two words, on every machine.
  word text COLLATE "C" NOT NULL,
  definition text NOT NULL,
  -- Grows with every change.
  -- squawk-ignore prefer-bigint-over-int -- nobody changes one row two thousand million times
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT entry_word_key UNIQUE (word),
  CONSTRAINT entry_word_length CHECK (char_length(word) BETWEEN 1 AND 200),
  CONSTRAINT entry_definition_length CHECK (char_length(definition) <= 10000)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON katas.entry TO katas_app;
