-- A server is an account: a host and, where there are, a user and a source address, as in "smtp.example.com postbote from 192.0.2.1". The port
-- belongs to it only where the host is this machine itself, as in "127.0.0.1:1025". What was known by port becomes one.
CREATE TABLE account (
  old  TEXT PRIMARY KEY,
  host TEXT NOT NULL,
  rest TEXT NOT NULL
) STRICT;
INSERT INTO account (old, host, rest)
  SELECT name, substr(name, 1, instr(name || ' ', ' ') - 1), substr(name, instr(name || ' ', ' '))
  FROM (SELECT name FROM server UNION SELECT server FROM pace UNION SELECT server FROM usage);
UPDATE account SET host = trim(rtrim(rtrim(host, '0123456789'), ':'), '[]') WHERE host GLOB '*:[0-9]*';
-- This machine keeps its ports.
DELETE FROM account WHERE host = 'localhost' OR host GLOB '*.localhost' OR host = '::1' OR host GLOB '127.*' AND host NOT GLOB '*[^0-9.]*' OR host GLOB '::ffff:127.*';
ALTER TABLE account ADD COLUMN name TEXT NOT NULL DEFAULT '';
UPDATE account SET name = host || rest;

-- The slower of what was found out lately, and from the earlier first message on.
CREATE TABLE merged AS
  SELECT account.name,
    coalesce(min(nullif(first, 0)), 0) AS first,
    coalesce(min(CASE WHEN found > newest - 30 * 86400000 THEN nullif(rate, 0) END), 0.0) AS rate,
    coalesce(min(CASE WHEN found > newest - 30 * 86400000 THEN nullif(connections, 0) END), 0) AS connections,
    newest AS found,
    max(CASE WHEN found = newest THEN waits_for ELSE '' END) AS waits_for,
    max(CASE WHEN found = newest THEN waits_until ELSE 0 END) AS waits_until
  FROM account JOIN (SELECT *, max(found) OVER (PARTITION BY (SELECT a.name FROM account a WHERE a.old = server.name)) AS newest FROM server) s ON s.name = account.old
  GROUP BY account.name;
DELETE FROM server WHERE name IN (SELECT old FROM account);
INSERT INTO server (name, first, rate, connections, found, waits_for, waits_until) SELECT name, first, rate, connections, found, waits_for, waits_until FROM merged;
DROP TABLE merged;

CREATE TABLE merged AS SELECT name, domain, per, max(used) AS used FROM pace JOIN account ON server = old GROUP BY name, domain, per;
DELETE FROM pace WHERE server IN (SELECT old FROM account);
INSERT INTO pace (server, domain, per, used) SELECT name, domain, per, used FROM merged;
DROP TABLE merged;

-- Messages by steps of a second, a minute and an hour, for quotas, warm-ups and the rates that are counted: see store/usage.go. What was counted by
-- five minutes counts as the last of them.
ALTER TABLE usage RENAME TO merged;
CREATE TABLE usage (
  server TEXT    NOT NULL,
  domain TEXT    NOT NULL,                 -- the recipients', '' for all
  step   INTEGER NOT NULL,                 -- milliseconds
  at     INTEGER NOT NULL,                 -- its beginning, Unix milliseconds
  n      INTEGER NOT NULL,
  PRIMARY KEY (server, domain, step, at)
) STRICT, WITHOUT ROWID;
INSERT INTO usage (server, domain, step, at, n)
  SELECT coalesce(account.name, merged.server), '', step, (at + 240000) / step * step, sum(n)
  FROM merged LEFT JOIN account ON merged.server = account.old, (SELECT 60000 AS step UNION ALL SELECT 3600000)
  GROUP BY 1, 3, 4;
DROP TABLE merged;
DROP TABLE account;
