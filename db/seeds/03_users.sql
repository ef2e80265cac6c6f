-- People with a name and an e-mail address each; in an empty table, the first is August, with id 1.
--
-- rows: 100, scales
-- fake: username first_name
-- fake: email email(username)

INSERT INTO katas.person (username, email)
SELECT CASE n WHEN 1 THEN 'August' ELSE username END,
       CASE n WHEN 1 THEN 'august1@example.com' ELSE email END
FROM pg_temp.fake
ORDER BY n;
