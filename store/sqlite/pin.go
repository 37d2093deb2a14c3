package sqlite

import (
	"context"
	"database/sql/driver"

	"mailblast/store"
)

// A recipient that was in doubt and is put back is pinned to the server that may have the message already, where that is
// known. That server may know the message by its Message-ID; another one would certainly make a second copy. So a begin
// writes the server into the row, or, if all messages of a run go over one server, its owner's row says so once.
//
// A pin is a row of its own, as hardly any recipient has one. CROSS JOIN makes SQLite begin with the pins, and not with the
// million rows that are queued.

// pin pins those who are in doubt, inside the caller's transaction.
func (l *Lease) pin(ctx context.Context) error {
	n, err := l.store.changes(ctx, `INSERT INTO pinned (job, server) SELECT id, server FROM job WHERE campaign = ?1 AND state = 'in_doubt' AND server <> ''
		ON CONFLICT DO UPDATE SET server = excluded.server`, l.id)
	l.pinned = l.pinned || n > 0
	return err
}

// hasPinned says whether anybody who is queued is pinned, inside the caller's transaction.
func (l *Lease) hasPinned(ctx context.Context) (yes bool, err error) {
	err = l.store.each(ctx, 1, func(row []driver.Value) error { n, _ := row[0].(int64); yes = n > 0; return nil },
		"SELECT EXISTS (SELECT 1 FROM pinned CROSS JOIN job ON job.id = pinned.job WHERE campaign = ?1 AND state = 'queued')", l.id)
	return yes, err
}

// readPins gives jobs the servers that they are pinned to, inside the caller's transaction.
func (l *Lease) readPins(ctx context.Context, jobs []store.Job) error {
	for i := range jobs {
		err := l.store.each(ctx, 1, func(row []driver.Value) error { jobs[i].Pin, _ = row[0].(string); return nil },
			"SELECT server FROM pinned WHERE job = ?1", jobs[i].ID)
		if err != nil {
			return err
		}
	}
	return nil
}

// duePinned makes the pinned rows due that were put back untried, inside the caller's transaction: an earlier run could not
// use their server.
func (l *Lease) duePinned(ctx context.Context) error {
	return l.store.exec(ctx, "UPDATE job NOT INDEXED SET due = 0 WHERE id IN (SELECT job FROM pinned) AND campaign = ?1 AND state = 'queued' AND code = 0 AND text = ''", l.id)
}

// Unpin lets everybody who is pinned go over any server. It returns how many of them are queued.
func (l *Lease) Unpin(ctx context.Context) (n int64, err error) {
	s := l.store
	err = s.write(ctx, func(ctx context.Context) error {
		if err := l.duePinned(ctx); err != nil {
			return err
		}
		err := s.each(ctx, 1, func(row []driver.Value) error { n, _ = row[0].(int64); return nil },
			"SELECT count(*) FROM pinned CROSS JOIN job ON job.id = pinned.job WHERE campaign = ?1 AND state = 'queued'", l.id)
		if err != nil {
			return err
		}
		return s.exec(ctx, "DELETE FROM pinned WHERE job IN (SELECT pinned.job FROM pinned CROSS JOIN job ON job.id = pinned.job WHERE campaign = ?1)", l.id)
	})
	return n, explain(err)
}
