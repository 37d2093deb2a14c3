package sqlite

import (
	"context"
	"fmt"
	"time"

	"mailblast/store"
)

// Recover settles what an owner that no longer lives left: rows that were claimed are queued again, their attempt
// uncounted; rows that were sending are in doubt. After a reboot under durability: process a row that reads claimed may
// have been sending, because that write was still on its way to the disk: it is in doubt too, and so it is where nobody
// can tell whether there was a reboot. Who is in doubt carries the server that may have the message, if that is known.
// Rows that were deferred while the clock was ahead are due as long from now as they were then; those that waited for a
// server are due now.
func (l *Lease) Recover(ctx context.Context) (requeued, inDoubt int, err error) {
	if l.id == 0 {
		return 0, 0, nil
	}
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.writeAs(ctx, "strict", func(ctx context.Context) error {
		left, err := l.leftRows(ctx)
		if err != nil {
			return err
		}
		delta := map[string]int64{}
		now := millis(time.Now())
		for _, row := range left {
			if row.doubt {
				inDoubt++
				delta[string(store.InDoubt)]++
			} else {
				requeued++
				delta[string(store.Queued)]++
				if row.attempt > 1 {
					delta[deferred]++
				}
			}
			if err := s.settleRow(ctx, row, now); err != nil {
				return err
			}
		}
		if err := l.setBack(ctx, now); err != nil {
			return err
		}
		if err := l.duePinned(ctx); err != nil {
			return err
		}
		return s.count(ctx, l.id, delta)
	})
	if err != nil {
		return 0, 0, explain(err)
	}
	return requeued, inDoubt, nil
}

// A leftRow is one that somebody held who no longer lives.
type leftRow struct {
	id      int64
	attempt int
	server  string // that may have the message; "": nobody knows
	doubt   bool
}

// leftRows reads the rows that are held, inside the caller's transaction.
func (l *Lease) leftRows(ctx context.Context) (all []leftRow, err error) {
	rows, err := l.store.writer.QueryContext(ctx, `SELECT job.id, state, attempt, coalesce(boot, ''),
			CASE WHEN owner.server <> '' THEN owner.server WHEN state = 'sending' THEN job.server ELSE '' END
		FROM job INDEXED BY job_held LEFT JOIN owner ON owner.id = job.owner WHERE job.campaign = ?1 AND job.owner IS NOT NULL`, l.id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var row leftRow
		var state store.State
		var boot string
		if err := rows.Scan(&row.id, &state, &row.attempt, &boot, &row.server); err != nil {
			return nil, err
		}
		switch state {
		case store.Sending:
			row.doubt = true
		case store.Claimed:
			row.doubt = l.durability == "process" && !sameBoot(boot, l.store.boot)
		default:
			return nil, errDamaged{fmt.Sprintf("an index has row %d as held, but it is %q", row.id, state)}
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// settleRow takes a row from who held it, inside the caller's transaction.
func (s *Store) settleRow(ctx context.Context, row leftRow, now int64) error {
	if row.doubt {
		return s.exec(ctx, `UPDATE job SET state = 'in_doubt', owner = NULL, updated = ?1, code = 0, status = '',
			text = 'the run ended before the reply of the server was written down', server = ?2 WHERE id = ?3`, now, row.server, row.id)
	}
	return s.exec(ctx, "UPDATE job SET state = 'queued', owner = NULL, updated = ?1, attempt = attempt - 1 WHERE id = ?2", now, row.id)
}

// setBack mends rows that were deferred before the clock was set back, inside the caller's transaction: they would wait
// for as long as it was ahead.
func (l *Lease) setBack(ctx context.Context, now int64) error {
	return l.store.exec(ctx, "UPDATE job SET due = due - updated + ?1, updated = ?2 WHERE campaign = ?3 AND state = 'queued' AND due > ?4 AND updated > ?5",
		now, now, l.id, now, now)
}
