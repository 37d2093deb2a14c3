-- Who holds a row is known by its owner: then a begin, which changes the state only, need not touch the index.
DROP INDEX job_held;
CREATE INDEX job_held ON job(campaign, id) WHERE owner IS NOT NULL;
