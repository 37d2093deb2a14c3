package sqlite

import (
	"context"
	"time"

	"mailblast/store"
)

// Finish marks the campaign as finished if nothing is left to do, and writes down how fast a short run was. A campaign
// whose rows are not as many in each state as were written down is damaged, and not finished. What is left is due at
// times by the clock of now.
func (l *Lease) Finish(ctx context.Context) error {
	s := l.store
	if c, err := s.Campaign(ctx, l.name); err != nil {
		return err
	} else if c.Counts.Pending() == 0 && c.Finished.IsZero() {
		if err := l.recount(ctx); err != nil {
			return explain(err)
		}
	}
	return explain(s.write(ctx, func(ctx context.Context) error {
		if passed := time.Since(l.rate.since); !l.rate.told && l.rate.n > 0 {
			if err := s.exec(ctx, "UPDATE campaign SET rate = ?1 WHERE id = ?2", float64(l.rate.n)/passed.Seconds(), l.id); err != nil {
				return err
			}
		}
		now := millis(time.Now())
		c, err := counts(ctx, s.writer, l.id)
		if err != nil {
			return err
		}
		if c.Pending() > 0 {
			if err := l.duePinned(ctx); err != nil {
				return err
			}
			return l.setBack(ctx, now) // so that nobody is told to come back in a day
		}
		return s.exec(ctx, "UPDATE campaign SET finished = coalesce(finished, ?1), updated = ?2 WHERE id = ?3", now, now, l.id)
	}))
}

// Expire ends all rows that are queued: it is too late for them.
func (l *Lease) Expire(ctx context.Context) error {
	s := l.store
	return explain(s.write(ctx, func(ctx context.Context) error {
		late, err := s.changes(ctx, "UPDATE job SET state = 'failed', due = 0, updated = ?1, code = 0, status = '', text = 'expired', server = '' WHERE campaign = ?2 AND state = 'queued' AND attempt > 0",
			millis(time.Now()), l.id)
		if err != nil {
			return err
		}
		n, err := s.changes(ctx, "UPDATE job SET state = 'failed', due = 0, updated = ?1, text = 'expired' WHERE campaign = ?2 AND state = 'queued'", millis(time.Now()), l.id)
		if err != nil {
			return err
		}
		return s.count(ctx, l.id, map[string]int64{string(store.Queued): -n - late, deferred: -late, string(store.Failed): n + late})
	}))
}
