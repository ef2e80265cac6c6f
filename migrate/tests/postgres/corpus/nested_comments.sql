/* A comment /* inside /* another; */ one; */ still one; */
INSERT INTO app.log (v) VALUES ('a' /* it's; */ /**/ || /***/ 'b' /*/ ; */);
/* -- ends here: */ INSERT INTO app.log (v) VALUES ('c') -- /* does not begin one;
;
-- */ closes none;
INSERT INTO app.log (v) VALUES ('/*'); INSERT INTO app.log (v) VALUES ('*/'); -- '
INSERT INTO app.log (v) VALUES ($$/*$$); INSERT INTO app.log (v) SELECT 1 AS "*/" /* $$ */ ;
