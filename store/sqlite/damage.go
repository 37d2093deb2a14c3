package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"mailblast/store"
)

// verifyMost is how large a queue may be, in octets, to be verified whole before anything in it is changed. A larger one
// would take longer than a person wants to wait. In that, SQLite finds damaged structure when it comes to it, claims and
// recovery find a row that is not what its index says, and the rows are counted again at the end of the campaign.
const verifyMost = 32 << 20

// errDamaged says what is in the queue that mailblast does not write.
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
	return l.recount(ctx)
}

// recount holds the campaign's rows against their tally: SQLite does not look at a CHECK again when it reads, and a row
// whose state has a wrong byte would be settled by nobody. It reads every row, which takes a second for some millions
// of them.
func (l *Lease) recount(ctx context.Context) error {
	tx, err := l.store.readDB.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var there bool
	if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM campaign WHERE id = ?1 AND purged IS NULL)", l.id).Scan(&there); err != nil || !there {
		return err
	}
	// In one pass and without sorting, which GROUP BY would do.
	query := "SELECT count(*), count(*) FILTER (WHERE state = 'queued' AND attempt > 0)"
	names := []string{deferred}
	for _, info := range store.States() {
		names = append(names, string(info.State))
		query += fmt.Sprintf(", count(*) FILTER (WHERE state = '%s')", info.State)
	}
	var all int64
	counted := make([]int64, len(names))
	into := []any{&all}
	for i := range counted {
		into = append(into, &counted[i])
	}
	if err := tx.QueryRowContext(ctx, query+" FROM job NOT INDEXED WHERE campaign = ?1", l.id).Scan(into...); err != nil {
		return err
	}
	for i, name := range names {
		var n int64
		err := tx.QueryRowContext(ctx, "SELECT n FROM tally WHERE campaign = ?1 AND state = ?2", l.id, name).Scan(&n)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if state := store.State(name); state != store.Claimed && state != store.Sending && n != counted[i] {
			return errDamaged{fmt.Sprintf("campaign %q: there are %d %q recipients, and %d were written down", l.name, counted[i], name, n)}
		}
		if name != deferred {
			all -= counted[i]
		}
	}
	if all != 0 {
		return errDamaged{fmt.Sprintf("campaign %q: %d recipients are in no state", l.name, all)}
	}
	return nil
}

// verifyIdle looks why nothing was to be claimed, inside the caller's transaction. A row that only its index has as
// queued would be waited for without end, and so would one that only the tally has.
func (l *Lease) verifyIdle(ctx context.Context, now int64) error {
	return l.store.each(ctx, 3, func(row []driver.Value) error {
		state, _ := row[0].(string)
		waiting, _ := row[1].(int64)
		tally, _ := row[2].(int64)
		switch {
		case state != "":
			return errDamaged{fmt.Sprintf("campaign %q: an index has a row as queued, but it is %q", l.name, state)}
		case tally > 0 && waiting == 0:
			return errDamaged{fmt.Sprintf("campaign %q: there are no queued recipients, and %d were written down", l.name, tally)}
		}
		return nil
	}, `SELECT coalesce((SELECT state FROM job INDEXED BY job_due WHERE campaign = ?1 AND state = 'queued' AND due <= ?2 ORDER BY due LIMIT 1), ''),
		EXISTS (SELECT 1 FROM job INDEXED BY job_due WHERE campaign = ?3 AND state = 'queued'),
		coalesce((SELECT n FROM tally WHERE campaign = ?4 AND state = 'queued'), 0)`, l.id, now, l.id, l.id)
}
