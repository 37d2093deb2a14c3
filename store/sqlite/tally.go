package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"mailblast/store"
)

// The tally says how many rows of a campaign are in each state, so that nobody has to count ten million of them. Besides, it
// counts queued rows with attempts.
const deferred = "deferred"

// count adds to the tally, inside the caller's transaction.
func (s *Store) count(ctx context.Context, campaign int64, delta map[string]int64) error {
	for state, n := range delta {
		if n == 0 {
			continue
		}
		if err := s.exec(ctx, "INSERT INTO tally (campaign, state, n) VALUES (?1, ?2, ?3) ON CONFLICT (campaign, state) DO UPDATE SET n = n + excluded.n", campaign, state, n); err != nil {
			return err
		}
	}
	return nil
}

// counts reads the tally, and counts the few rows that a process holds.
func counts(ctx context.Context, db interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}, id int64) (store.Counts, error) {
	var c store.Counts
	rows, err := db.QueryContext(ctx, `SELECT state, n FROM tally WHERE campaign = ?1
		UNION ALL SELECT state, count(*) FROM job INDEXED BY job_held WHERE campaign = ?1 AND owner IS NOT NULL GROUP BY state`, id)
	if err != nil {
		return c, err
	}
	defer rows.Close()
	for rows.Next() {
		var state string
		var n int64
		if err := rows.Scan(&state, &n); err != nil {
			return c, err
		}
		field := tallied(&c, state)
		if field == nil {
			return c, errDamaged{fmt.Sprintf("%d recipients are %q", n, state)}
		}
		*field = n
	}
	return c, rows.Err()
}

// tallied is the field for a name of the tally; nil for what is not in Counts.
func tallied(c *store.Counts, name string) *int64 {
	if name == deferred {
		return &c.Deferred
	}
	return c.Of(store.State(name))
}
