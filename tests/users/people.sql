-- A hundred generated people: in an empty table they get the ids 1 to 100, on every machine the same.
INSERT INTO katas.person (username, email)
SELECT name, lower(name) || number || '@example.com'
FROM regexp_split_to_table(
  'August Ada Alan Amara Anders Anjali Anna Antonio Astrid Aya '
  'Barbara Bashir Beatriz Bruno Carla Carlos Chiara Chidi Claire Dara '
  'David Deepa Diego Dmitri Edsger Ebele Elena Emil Emma Esther '
  'Fatima Felix Frances Frida Gabriel Georg Grace Guido Hanna Haruto '
  'Hedy Hugo Ibrahim Ida Igor Ines Ingrid Isaac Ivan Jamal '
  'Jana Javier Joan John Jonas Juliana Karen Katherine Kenji Kofi '
  'Lars Laura Leila Leon Lin Lucia Luis Magnus Maria Mei '
  'Mehmet Mina Mohamed Nadia Nils Nina Noor Olga Omar Oscar '
  'Paula Pedro Petra Priya Rafael Rania Rosa Ruth Samir Sara '
  'Sofia Stefan Tim Tomas Vera Viktor Wanda Yara Yusuf Zoe',
  ' ') WITH ORDINALITY AS people (name, number)
ORDER BY number;
