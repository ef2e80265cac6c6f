-- The users: a name and an e-mail address each. The table is not called `user`, which is a word of
-- SQL's own.

CREATE TABLE katas.person (
  -- Given by the database and never reused: other systems keep it.
  id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT person_pkey PRIMARY KEY,
  -- Two people may have the same name, and even the same address.
  username text NOT NULL,
  email text NOT NULL,
  -- Grows with every change.
  -- squawk-ignore prefer-bigint-over-int -- nobody changes one row two thousand million times
  version integer NOT NULL DEFAULT 1,

  CONSTRAINT person_username_length CHECK (char_length(username) BETWEEN 1 AND 100),
  CONSTRAINT person_email_length CHECK (char_length(email) BETWEEN 3 AND 254)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON katas.person TO katas_app;
