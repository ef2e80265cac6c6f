-- Objects outside of the schema $1, which are not compared.
SELECT line FROM (
  SELECT format('schema %I', nspname) AS line FROM pg_namespace n
  WHERE nspname <> $1 AND nspname !~ '^pg_' AND nspname <> 'information_schema'
    AND (EXISTS (SELECT FROM pg_class WHERE relnamespace = n.oid)
         OR EXISTS (SELECT FROM pg_proc WHERE pronamespace = n.oid)
         OR EXISTS (SELECT FROM pg_type WHERE typnamespace = n.oid))
  UNION ALL
  SELECT format('%s large objects of %I', count(*), pg_get_userbyid(lomowner))
  FROM pg_largeobject_metadata GROUP BY lomowner
  UNION ALL
  SELECT format('event trigger %I', evtname) FROM pg_event_trigger
  UNION ALL
  SELECT format('publication %I', pubname) FROM pg_publication
  UNION ALL
  SELECT format('subscription %I', subname) FROM pg_subscription s
  JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database()
  UNION ALL
  SELECT format('foreign server %I', srvname) FROM pg_foreign_server
) AS found
ORDER BY line
