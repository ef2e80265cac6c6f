INSERT INTOapp.log	(v)VALUES('a');;INSERT INTO app.log (v) VALUES (' ;')	;
