-- The recipients that go over one server only, by its name in the campaign file: it may have the message already.
CREATE TABLE pinned (
  job    INTEGER PRIMARY KEY REFERENCES job(id) ON DELETE CASCADE,
  server TEXT NOT NULL
) STRICT;
-- The server of all messages that a process sends, where that is one, so that no begin has to say it; else ''.
ALTER TABLE owner ADD COLUMN server TEXT NOT NULL DEFAULT '';
