-- expected: Every statement of this file runs in its own transaction.
BEGIN;
INSERT INTO app.log (v) VALUES ('a');
END;
