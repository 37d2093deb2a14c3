-- The states of job one by one: of a list of more than two values SQLite makes a table, for every row that it checks, and that
-- took as long as all else of a change. A constraint is changed in place, as in https://sqlite.org/lang_altertable.html#otheralter;
-- whoever has the queue open meanwhile goes on with the old words, which mean the same.
PRAGMA writable_schema=ON;
UPDATE sqlite_schema SET sql = replace(sql, 'state IN (''queued'', ''claimed'', ''sending'', ''sent'', ''failed'', ''in_doubt'', ''suppressed'', ''invalid'')',
  'state = ''queued'' OR state = ''claimed'' OR state = ''sending'' OR state = ''sent'' OR state = ''failed'' OR state = ''in_doubt'' OR state = ''suppressed'' OR state = ''invalid''')
  WHERE type = 'table' AND name = 'job';
PRAGMA writable_schema=RESET;
