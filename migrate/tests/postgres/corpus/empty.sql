-- no statement;
;;
/* ; */
;