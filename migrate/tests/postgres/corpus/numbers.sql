INSERT INTO app.log (v) VALUES (.5), (5.), (1e3), (1.5E-3), (0), (-1); INSERT INTO app.log (v) SELECT 1.;
INSERT INTO app.log (v) SELECT 1.5e+3; INSERT INTO app.log (v) SELECT array_length(ARRAY[1.,.2], 1);
INSERT INTO app.log (v) SELECT 1;INSERT INTO app.log (v) SELECT 2;;;INSERT INTO app.log (v) SELECT 3
