package sqlite

import (
	"context"
	"time"

	"mailblast/store"
)

// Purge deletes everything that the queue has of the campaign's recipients and of its message: rows, fields, replies with
// their history, campaign file, templates, attachments. What stays is its name, its dates, and the counts of end states.
// The suppression list is not the campaign's and stays. Traces are left in the files until Scrub.
func (l *Lease) Purge(ctx context.Context) error {
	s := l.store
	return explain(s.write(ctx, func(ctx context.Context) error {
		// Overwrites what is deleted with zeros, for as long as this connection lives.
		if err := s.pragma(ctx, "PRAGMA secure_delete=ON"); err != nil {
			return err
		}
		for _, query := range []string{
			"DELETE FROM attempt WHERE job IN (SELECT id FROM job WHERE campaign = ?1)",
			"DELETE FROM job WHERE campaign = ?1",
			"DELETE FROM snapshot WHERE campaign = ?1",
			"DELETE FROM tally WHERE campaign = ?1 AND state IN ('queued', 'deferred')",
		} {
			if err := s.exec(ctx, query, l.id); err != nil {
				return err
			}
		}
		if err := s.exec(ctx, "DELETE FROM content WHERE sha256 NOT IN (SELECT sha256 FROM snapshot)"); err != nil {
			return err
		}
		return s.exec(ctx, `UPDATE campaign SET purged = coalesce(purged, ?1), scrubbed = NULL, path = '', source = x'', columns = '[]', message_domain = '', message_salt = ''
			WHERE id = ?2`, millis(time.Now()), l.id)
	}))
}

// Scrub makes the queue's files forget what was deleted, by this process or by one that did not get that far: rows that
// once moved have left their old text in pages that are still in use, and the log has pages as they were. Only a
// rebuilt file has none of that. It needs room on the disk for a second queue for a moment. Purged campaigns of which
// no message was ever begun go altogether; their names are free. When nothing was deleted since the last time it does
// nothing, and returns false.
func (s *Store) Scrub(ctx context.Context) (cleaned bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	plain := context.WithoutCancel(ctx)
	// What another process deletes from now on is not in the clean file for certain, so it stays owed.
	owed, err := s.owed(plain)
	if err != nil || len(owed) == 0 {
		return false, explain(err)
	}
	// The first checkpoint brings the zeros to their places, before the file becomes shorter.
	for _, step := range []func() error{
		func() error { return s.pragma(plain, "PRAGMA secure_delete=ON") },
		func() error { return s.checkpoint(plain) },
		func() error { return s.retryBusy(ctx, func() error { return s.exec(plain, "VACUUM") }) },
		func() error { return s.checkpoint(plain) },
		func() error {
			return s.writeAs(ctx, "strict", func(ctx context.Context) error { return s.settle(ctx, owed) })
		},
	} {
		if err := step(); err != nil {
			return false, explain(err)
		}
	}
	return true, nil
}

// owed is the campaigns of which traces are left.
func (s *Store) owed(ctx context.Context) (ids []int64, err error) {
	rows, err := s.writer.QueryContext(ctx, "SELECT id FROM campaign WHERE purged IS NOT NULL AND scrubbed IS NULL")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// settle writes down that there are no traces of these campaigns, inside the caller's transaction.
func (s *Store) settle(ctx context.Context, owed []int64) error {
	now := millis(time.Now())
	for _, id := range owed {
		if err := s.exec(ctx, "UPDATE campaign SET scrubbed = ?1 WHERE id = ?2", now, id); err != nil {
			return err
		}
		if err := s.exec(ctx, "DELETE FROM campaign WHERE id = ?1 AND purged IS NOT NULL AND started IS NULL", id); err != nil {
			return err
		}
		if err := s.exec(ctx, "DELETE FROM tally WHERE campaign = ?1 AND campaign NOT IN (SELECT id FROM campaign)", id); err != nil {
			return err
		}
	}
	return nil
}

// checkpoint folds the write-ahead log into the file and empties it.
func (s *Store) checkpoint(ctx context.Context) error {
	var busy, frames, done int
	err := s.writer.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &done)
	if err == nil && busy != 0 {
		return store.ErrTraces
	}
	return err
}

// pragma runs a pragma that answers with a row.
func (s *Store) pragma(ctx context.Context, query string) error {
	var value string
	return s.writer.QueryRowContext(ctx, query).Scan(&value)
}
