package sqlite

import (
	"context"
	"time"

	"mailblast/store"
)

// Retry puts rows in state from (Failed or InDoubt) back to queued, with no attempts counted and due at once; their
// last reply goes to the history. Those in doubt are pinned to the server that may have the message. It returns how many.
func (l *Lease) Retry(ctx context.Context, from store.State) (n int64, err error) {
	s := l.store
	err = s.write(ctx, func(ctx context.Context) error {
		now := millis(time.Now())
		if err := s.exec(ctx, `INSERT INTO attempt (job, at, state, code, status, text, server)
			SELECT id, updated, state, code, status, text, server FROM job WHERE campaign = ?1 AND state = ?2`, l.id, string(from)); err != nil {
			return err
		}
		if from == store.InDoubt {
			if err := l.pin(ctx); err != nil {
				return err
			}
		}
		n, err = s.changes(ctx, "UPDATE job SET state = 'queued', attempt = 0, due = 0, updated = ?1, code = 0, status = '', text = '', server = '' WHERE campaign = ?2 AND state = ?3", now, l.id, string(from))
		if err != nil || n == 0 {
			return err
		}
		if err := s.exec(ctx, "UPDATE campaign SET finished = NULL, updated = ?1 WHERE id = ?2", now, l.id); err != nil {
			return err
		}
		return s.count(ctx, l.id, map[string]int64{string(from): -n, string(store.Queued): n})
	})
	return n, explain(err)
}
