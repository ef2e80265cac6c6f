-- Undoes 0004_users: every user is lost.

DROP TABLE katas.person;
