-- The queue: see store/job.go for the states. Times are Unix milliseconds. Parameters are numbered in order of
-- appearance everywhere, so that the statements carry over to other databases.

CREATE TABLE campaign (
  id             INTEGER PRIMARY KEY,
  name           TEXT NOT NULL UNIQUE,
  created        INTEGER NOT NULL,
  updated        INTEGER NOT NULL,
  started        INTEGER,            -- the first begin; from then on the snapshot is protected
  finished       INTEGER,            -- nothing was left to do
  path           TEXT NOT NULL,      -- the campaign file, for messages to a person
  source         BLOB NOT NULL,      -- its text, ${VARIABLES} unexpanded
  columns        TEXT NOT NULL,      -- JSON list of the CSV's columns; it only grows, rows are read by position
  message_domain TEXT NOT NULL,      -- with message_salt and the row's id: the Message-ID, which never changes
  message_salt   TEXT NOT NULL,
  durability     TEXT NOT NULL,
  rate           REAL NOT NULL DEFAULT 0  -- messages a second while it was last drained
) STRICT;

-- Templates and attachments, once for all campaigns.
CREATE TABLE content (
  sha256 TEXT PRIMARY KEY,
  bytes  BLOB NOT NULL
) STRICT;

CREATE TABLE snapshot (
  campaign INTEGER NOT NULL REFERENCES campaign(id) ON DELETE CASCADE,
  path     TEXT NOT NULL,            -- as the campaign file writes it
  sha256   TEXT NOT NULL REFERENCES content(sha256),
  PRIMARY KEY (campaign, path)
) STRICT, WITHOUT ROWID;

-- The processes that have claimed rows. A number is never used again: a process that was stopped for long must not find
-- its claims in the hands of a namesake.
CREATE TABLE owner (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  campaign INTEGER NOT NULL,
  boot     TEXT NOT NULL,            -- which start of the machine; '' where that has no name
  pid      INTEGER NOT NULL,
  since    INTEGER NOT NULL
) STRICT;

CREATE TABLE job (
  id       INTEGER PRIMARY KEY,
  campaign INTEGER NOT NULL REFERENCES campaign(id),
  identity TEXT NOT NULL,            -- normalised address; with the campaign, what is sent once
  address  TEXT NOT NULL,            -- as it goes on the wire
  fields   TEXT NOT NULL,            -- JSON list of the row's values, by position in campaign.columns
  line     INTEGER NOT NULL,         -- in the CSV
  state    TEXT NOT NULL CHECK (state IN ('queued', 'claimed', 'sending', 'sent', 'failed', 'in_doubt', 'suppressed', 'invalid')),
  attempt  INTEGER NOT NULL DEFAULT 0,
  due      INTEGER NOT NULL DEFAULT 0,
  updated  INTEGER NOT NULL,
  owner    INTEGER,                  -- who holds it, while claimed or sending
  code     INTEGER NOT NULL DEFAULT 0,
  status   TEXT NOT NULL DEFAULT '',
  text     TEXT NOT NULL DEFAULT '',
  server   TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX job_identity ON job(campaign, identity);
CREATE INDEX job_due  ON job(campaign, due, id) WHERE state = 'queued';
CREATE INDEX job_held ON job(campaign, id)      WHERE state IN ('claimed', 'sending');

-- How many rows are in each state, so that nobody has to count ten million of them. `claimed` and `sending` are few and
-- are counted by job_held; `deferred` is contained in `queued`.
CREATE TABLE tally (
  campaign INTEGER NOT NULL REFERENCES campaign(id) ON DELETE CASCADE,
  state    TEXT NOT NULL,
  n        INTEGER NOT NULL,
  PRIMARY KEY (campaign, state)
) STRICT, WITHOUT ROWID;

-- Replies that ended an attempt and were followed by another one; the last reply is in job.
CREATE TABLE attempt (
  job     INTEGER NOT NULL REFERENCES job(id) ON DELETE CASCADE,
  at      INTEGER NOT NULL,
  state   TEXT NOT NULL,
  code    INTEGER NOT NULL,
  status  TEXT NOT NULL,
  text    TEXT NOT NULL,
  server  TEXT NOT NULL
) STRICT;
CREATE INDEX attempt_job ON attempt(job);

CREATE TABLE suppression (
  address TEXT PRIMARY KEY,          -- normalised address, or @domain
  reason  TEXT NOT NULL,
  source  TEXT NOT NULL,
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
