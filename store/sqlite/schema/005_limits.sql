-- What was sent over each server, and how fast it takes messages: shared by all campaigns and processes that send over it.
-- A server is a host, a port and, where there are, a user and a source address, as in "smtp.example.com:587 postbote from 192.0.2.1".
CREATE TABLE server (
  name        TEXT PRIMARY KEY,
  first       INTEGER NOT NULL,            -- it took the first message, from which the days of a warm-up are counted; 0: none yet
  rate        REAL    NOT NULL DEFAULT 0,  -- messages a second that it was found to take; 0: no limit was found
  connections INTEGER NOT NULL DEFAULT 0,  -- that it was found to let in; 0: no limit was found
  found       INTEGER NOT NULL DEFAULT 0,  -- when
  waits_for   TEXT    NOT NULL DEFAULT '', -- why nothing can be sent until then, for a person
  waits_until INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Up to which moment the rates are used up (the theoretical arrival time of the generic cell rate algorithm), in Unix
-- microseconds. Rates over the same time share it: each message takes its part of that time. domain is the recipients', '' for all.
CREATE TABLE pace (
  server TEXT    NOT NULL,
  domain TEXT    NOT NULL,
  per    INTEGER NOT NULL,                 -- milliseconds
  used   INTEGER NOT NULL,
  PRIMARY KEY (server, domain, per)
) STRICT, WITHOUT ROWID;

-- Messages by five minutes, for quotas and warm-ups.
CREATE TABLE usage (
  server TEXT    NOT NULL,
  at     INTEGER NOT NULL,                 -- the beginning of the five minutes, Unix milliseconds
  n      INTEGER NOT NULL,
  PRIMARY KEY (server, at)
) STRICT, WITHOUT ROWID;
