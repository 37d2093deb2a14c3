-- One row, on a page of its own, which is changed by transactions that are not synced and by no others: so the write-ahead
-- log says itself which of its transactions a power cut may take. See log.go, which knows the page by these octets.
CREATE TABLE unsynced (
  id   INTEGER PRIMARY KEY,
  mark BLOB NOT NULL,
  n    INTEGER NOT NULL
) STRICT;
INSERT INTO unsynced (id, mark, n) VALUES (1, x'9be1d33c5a0f47e8b6207f51c49a8e16', 0);
