-- The queue: package store says what the states mean. Times are Unix milliseconds.

-- Which queue this is, so that its mark (mark.go) is not taken for that of another.
CREATE TABLE queue (
  id TEXT NOT NULL
) STRICT;
INSERT INTO queue (id) VALUES (lower(hex(randomblob(8))));

CREATE TABLE campaign (
  id             INTEGER PRIMARY KEY,
  name           TEXT NOT NULL UNIQUE,
  created        INTEGER NOT NULL,
  updated        INTEGER NOT NULL,
  started        INTEGER,                    -- the first begin; from then on the snapshot is protected
  finished       INTEGER,                    -- nothing was left to do
  path           TEXT NOT NULL,              -- the campaign file, for messages to a person
  source         BLOB NOT NULL,              -- its text, ${VARIABLES} unexpanded
  columns        TEXT NOT NULL,              -- JSON list of the CSV's columns; it only grows, as rows are read by position
  message_domain TEXT NOT NULL,              -- with message_salt and the row's id: the Message-ID, which never changes
  message_salt   TEXT NOT NULL,
  durability     TEXT NOT NULL,
  priority       INTEGER NOT NULL DEFAULT 0, -- higher ones are resumed first
  order_by       TEXT NOT NULL DEFAULT '',   -- what the ranks were made of, to know when it is another order
  rate           REAL NOT NULL DEFAULT 0,    -- messages a second while it was last drained
  -- When its personal data was removed. The row stays, so that the name cannot be sent again to people of whom nobody knows
  -- any more that they were sent to.
  purged         INTEGER,
  scrubbed       INTEGER                     -- when the files were cleaned of it; until then traces are in them
) STRICT;

-- Templates and attachments, once for all campaigns.
CREATE TABLE content (
  sha256 TEXT PRIMARY KEY,
  bytes  BLOB NOT NULL
) STRICT;

CREATE TABLE snapshot (
  campaign INTEGER NOT NULL REFERENCES campaign(id) ON DELETE CASCADE,
  path     TEXT NOT NULL,                    -- as the campaign file writes it
  sha256   TEXT NOT NULL REFERENCES content(sha256),
  PRIMARY KEY (campaign, path)
) STRICT, WITHOUT ROWID;

-- The processes that have claimed rows. A number is never used again: a process that was stopped for long must not find
-- its claims in the hands of a namesake.
CREATE TABLE owner (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  campaign INTEGER NOT NULL,
  boot     TEXT NOT NULL,                    -- which start of the machine; '' where nobody can tell
  pid      INTEGER NOT NULL,
  since    INTEGER NOT NULL,
  server   TEXT NOT NULL                     -- that all its messages go over, so that no begin has to say it; '': several
) STRICT;

-- The states are compared one by one: of a list of more than two values SQLite makes a table, for every row that it checks,
-- and that took as long as all else of a change.
CREATE TABLE job (
  id       INTEGER PRIMARY KEY,
  campaign INTEGER NOT NULL REFERENCES campaign(id),
  identity TEXT NOT NULL,                    -- normalised address; with the campaign, what is sent once
  address  TEXT NOT NULL,                    -- as it goes on the wire
  fields   TEXT NOT NULL,                    -- the row's values, by position in campaign.columns: see store/fields.go
  line     INTEGER NOT NULL,                 -- in the CSV
  state    TEXT NOT NULL CHECK (state = 'queued' OR state = 'claimed' OR state = 'sending' OR state = 'sent' OR state = 'failed' OR state = 'in_doubt' OR state = 'suppressed' OR state = 'invalid'),
  attempt  INTEGER NOT NULL DEFAULT 0,
  due      INTEGER NOT NULL DEFAULT 0,
  updated  INTEGER NOT NULL,
  owner    INTEGER,                          -- who holds it, while claimed or sending
  code     INTEGER NOT NULL DEFAULT 0,       -- the last reply of the server
  status   TEXT NOT NULL DEFAULT '',
  text     TEXT NOT NULL DEFAULT '',
  server   TEXT NOT NULL DEFAULT '',
  rank     REAL NOT NULL DEFAULT 0           -- the place among those that are due: the lowest first; 0 where there is no order
) STRICT;
CREATE UNIQUE INDEX job_identity ON job(campaign, identity);
CREATE INDEX job_due ON job(campaign, due, rank, id) WHERE state = 'queued';
-- Who holds a row is known by its owner, so that a begin, which changes the state only, need not touch the index.
CREATE INDEX job_held ON job(campaign, id) WHERE owner IS NOT NULL;

-- The recipients that go over one server only, by its name in the campaign file: it may have the message already.
CREATE TABLE pinned (
  job    INTEGER PRIMARY KEY REFERENCES job(id) ON DELETE CASCADE,
  server TEXT NOT NULL
) STRICT;

-- Replies that ended an attempt and were followed by another one; the last reply is in job.
CREATE TABLE attempt (
  job    INTEGER NOT NULL REFERENCES job(id) ON DELETE CASCADE,
  at     INTEGER NOT NULL,
  state  TEXT NOT NULL,
  code   INTEGER NOT NULL,
  status TEXT NOT NULL,
  text   TEXT NOT NULL,
  server TEXT NOT NULL
) STRICT;
CREATE INDEX attempt_job ON attempt(job);

-- How many rows of a campaign are in each state, so that nobody has to count ten million of them. `claimed` and `sending` are few
-- and are counted by job_held; `deferred` is contained in `queued`. Campaign 0 is the queue: `written` counts its transactions (mark.go),
-- here and not in a table of its own as the page is written anyway.
CREATE TABLE tally (
  campaign INTEGER NOT NULL,
  state    TEXT NOT NULL,
  n        INTEGER NOT NULL,
  PRIMARY KEY (campaign, state)
) STRICT, WITHOUT ROWID;
INSERT INTO tally (campaign, state, n) VALUES (0, 'written', 0);

CREATE TABLE suppression (
  address TEXT PRIMARY KEY,                  -- normalised address, or @domain
  reason  TEXT NOT NULL,
  source  TEXT NOT NULL,
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How fast each server takes messages: shared by all campaigns and processes that send over it. A server is an account: a
-- host and, where there are, a user and a source address, as in "smtp.example.com postbote from 192.0.2.1". The port belongs
-- to it only where the host is this machine itself, as in "127.0.0.1:1025".
CREATE TABLE server (
  name        TEXT PRIMARY KEY,
  first       INTEGER NOT NULL,              -- it took the first message, from which the days of a warm-up are counted; 0: none yet
  rate        REAL    NOT NULL DEFAULT 0,    -- messages a second that it was found to take; 0: no limit was found
  connections INTEGER NOT NULL DEFAULT 0,    -- that it was found to let in; 0: no limit was found
  found       INTEGER NOT NULL DEFAULT 0,    -- when
  waits_for   TEXT    NOT NULL DEFAULT '',   -- why nothing can be sent until then, for a person
  waits_until INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Up to which moment the rates are used up (the theoretical arrival time of the generic cell rate algorithm), in Unix
-- microseconds. Rates over the same time share it: each message takes its part of that time.
CREATE TABLE pace (
  server TEXT    NOT NULL,
  domain TEXT    NOT NULL,                   -- the recipients', '' for all
  per    INTEGER NOT NULL,                   -- milliseconds
  used   INTEGER NOT NULL,
  PRIMARY KEY (server, domain, per)
) STRICT, WITHOUT ROWID;

-- Messages by steps of a second, a minute and an hour, for quotas, warm-ups and the rates that are counted: see usage.go.
CREATE TABLE usage (
  server TEXT    NOT NULL,
  domain TEXT    NOT NULL,                   -- the recipients', '' for all
  step   INTEGER NOT NULL,                   -- milliseconds
  at     INTEGER NOT NULL,                   -- its beginning, Unix milliseconds
  n      INTEGER NOT NULL,
  PRIMARY KEY (server, domain, step, at)
) STRICT, WITHOUT ROWID;
