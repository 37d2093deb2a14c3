package sqlite

import (
	"context"
	"database/sql"
	"strings"

	"mailblast/store"
)

// Rows streams a campaign's recipients in the order in which they were loaded, those in one of the given states or,
// without any, all of them; on request with their earlier attempts. A row is as it was when its batch was read. While
// yield has it, the queue is not being read: else a report that somebody reads for an hour would keep the write-ahead log
// growing for an hour.
func (s *Store) Rows(ctx context.Context, campaign string, states []store.State, earlier bool, yield func(store.Row) error) error {
	c, err := s.Campaign(ctx, campaign)
	if err != nil {
		return err
	}
	// The rows of a campaign lie together, mostly: reading them by id between its first and its last needs no sorting.
	r := rowReader{states: states, earlier: earlier}
	var first, last int64
	err = s.readDB.QueryRowContext(ctx, `SELECT coalesce(min(job.id), 1), coalesce(max(job.id), 0), message_domain, message_salt
		FROM campaign LEFT JOIN job ON job.campaign = campaign.id WHERE campaign.id = ?1`, c.ID).Scan(&first, &last, &r.lease.domain, &r.lease.salt)
	if err != nil {
		return explain(err)
	}
	for first <= last {
		rows, err := r.batch(ctx, s.readDB, c.ID, first, last)
		if err != nil {
			return explain(err)
		}
		for _, row := range rows {
			if err := yield(row.Row); err != nil {
				return err
			}
		}
		if len(rows) < rowBatch {
			return nil
		}
		first = rows[len(rows)-1].id + 1
	}
	return nil
}

// rowBatch is how many rows are held in memory.
const rowBatch = 1000

// A rowReader reads a campaign's rows, some at a time.
type rowReader struct {
	lease   Lease // of nothing: its Message-IDs
	states  []store.State
	earlier bool
}

type numberedRow struct {
	store.Row
	id int64
}

// batch is the next rows from first on, and their history, all as at one moment.
func (r *rowReader) batch(ctx context.Context, db *sql.DB, campaign, first, last int64) ([]numberedRow, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	query := "SELECT id, address, state, attempt, due, code, status, text, server, line, updated FROM job NOT INDEXED WHERE campaign = ? AND id BETWEEN ? AND ?"
	args := []any{campaign, first, last}
	if len(r.states) > 0 {
		query += " AND state IN (?" + strings.Repeat(", ?", len(r.states)-1) + ")"
		for _, state := range r.states {
			args = append(args, string(state))
		}
	}
	rows, err := tx.QueryContext(ctx, query+" ORDER BY id LIMIT ?", append(args, rowBatch)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []numberedRow
	for rows.Next() {
		var row numberedRow
		var due, updated int64
		if err := rows.Scan(&row.id, &row.Email, &row.State, &row.Attempts, &due, &row.Code, &row.Status, &row.Reply, &row.Server, &row.Line, &updated); err != nil {
			return nil, err
		}
		row.Updated = fromMillis(updated)
		if row.State == store.Queued {
			row.Due = fromMillis(due)
		}
		if row.State != store.Invalid {
			row.MessageID = r.lease.messageID(row.id)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil || !r.earlier {
		return all, err
	}
	for i := range all {
		row := &all[i]
		if row.Earlier, err = attempts(ctx, tx, row.id); err != nil {
			return nil, err
		}
		if n := len(row.Earlier); n > 0 && row.State == store.Queued && row.Reply+row.Status != "" {
			row.Earlier = row.Earlier[:n-1] // the row itself still says how that one ended
		}
	}
	return all, nil
}

func attempts(ctx context.Context, tx *sql.Tx, job int64) ([]store.Attempt, error) {
	rows, err := tx.QueryContext(ctx, "SELECT at, state, code, status, text, server FROM attempt WHERE job = ?1 ORDER BY rowid", job)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []store.Attempt
	for rows.Next() {
		var a store.Attempt
		var at int64
		if err := rows.Scan(&at, &a.State, &a.Code, &a.Status, &a.Reply, &a.Server); err != nil {
			return nil, err
		}
		a.At = fromMillis(at)
		all = append(all, a)
	}
	return all, rows.Err()
}
