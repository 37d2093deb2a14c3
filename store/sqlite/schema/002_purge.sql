-- When the campaign's personal data was removed. The row stays, so that the name cannot be sent again to people of whom
-- nobody knows any more that they were sent to.
ALTER TABLE campaign ADD COLUMN purged INTEGER;
-- When the files were cleaned of it; until then traces are in them.
ALTER TABLE campaign ADD COLUMN scrubbed INTEGER;
