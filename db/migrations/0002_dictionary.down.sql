-- Undoes 0002_dictionary: every entry is lost.

DROP TABLE katas.entry;
