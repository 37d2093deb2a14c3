-- In which order recipients are sent to, among those that are due: the lowest rank first, 0 where there is no order.
ALTER TABLE job ADD COLUMN rank REAL NOT NULL DEFAULT 0;
DROP INDEX job_due;
CREATE INDEX job_due ON job(campaign, due, rank, id) WHERE state = 'queued';
-- What the ranks were made of, to know when it is another order.
ALTER TABLE campaign ADD COLUMN order_by TEXT NOT NULL DEFAULT '';
-- Higher ones are resumed first.
ALTER TABLE campaign ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
