package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// verifyMost is how large a queue may be, in octets, to be verified whole before anything in it is changed. Above it that would
// take longer than a person wants to wait; then SQLite still finds damage of its structure when it comes to it.
const verifyMost = 32 << 20

// errDamaged is what cannot be in a queue that only mailblast has written to.
type errDamaged struct{ what string }

func (e errDamaged) Error() string {
	return fmt.Sprintf("the queue is damaged (%s), and nobody could say who was sent to; it was left as it is. Restore it from a backup, or try `sqlite3 FILE .recover`", e.what)
}

// verify looks for damage that SQLite does not meet on its way: its pages have no checksums, so that an index with one wrong
// byte would let an address in twice. It checks all pages and indexes against each other, once for each Store, and the
// campaign's rows against their tally.
func (l *Lease) verify(ctx context.Context) error {
	s := l.store
	var state string
	err := s.readDB.QueryRowContext(ctx, "SELECT state FROM tally WHERE campaign = ?1 AND n < 0", l.id).Scan(&state)
	if err == nil {
		return errDamaged{fmt.Sprintf("campaign %q: the number of its %q recipients is written down as less than none", l.name, state)}
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var size int64
	if err := s.readDB.QueryRowContext(ctx, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").Scan(&size); err != nil {
		return err
	}
	if size > verifyMost {
		return nil
	}
	if !s.verified {
		var result string
		if err := s.readDB.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&result); err != nil {
			return err
		}
		if result != "ok" {
			return errDamaged{result}
		}
		s.verified = true
	}
	rows, err := s.readDB.QueryContext(ctx, `SELECT state, sum(n) FROM (
		SELECT state, n FROM tally WHERE campaign = ?1 AND state <> 'begun'
		UNION ALL SELECT state, -count(*) FROM job WHERE campaign = ?1 AND state NOT IN ('claimed', 'sending') GROUP BY state
		UNION ALL SELECT 'deferred', -count(*) FROM job WHERE campaign = ?1 AND state = 'queued' AND attempt > 0
		) WHERE EXISTS (SELECT 1 FROM campaign WHERE id = ?1 AND purged IS NULL) GROUP BY state HAVING sum(n) <> 0`, l.id)
	if err != nil {
		return err
	}
	defer rows.Close()
	if rows.Next() {
		var state string
		var n int64
		if err := rows.Scan(&state, &n); err != nil {
			return err
		}
		return errDamaged{fmt.Sprintf("campaign %q: the number of its %q recipients is not the one that was written down: off by %d", l.name, state, n)}
	}
	return rows.Err()
}
