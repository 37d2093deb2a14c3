package store

import (
	"context"
	"strings"
	"time"
)

// A Row is what became of one recipient.
type Row struct {
	Email     string
	State     State
	Attempts  int
	Due       time.Time // for queued rows: not before; zero: at once
	Code      int       // the last reply of the server
	Status    string
	Reply     string
	Server    string
	MessageID string // "" for rows that cannot be mailed
	Line      int    // in the CSV
	Updated   time.Time
	Earlier   []Attempt // those before the last one, oldest first; only when asked for
}

// An Attempt is how one attempt ended that was followed by another.
type Attempt struct {
	At     time.Time
	State  State // Queued: deferred; Failed or InDoubt: put back by a person
	Code   int
	Status string
	Reply  string
	Server string
}

// Rows streams a campaign's recipients in the order in which they were loaded, those in one of the given states or,
// without any, all of them; on request with their earlier attempts.
func (s *Store) Rows(ctx context.Context, campaign string, states []State, earlier bool, yield func(Row) error) error {
	c, err := s.Campaign(ctx, campaign)
	if err != nil {
		return err
	}
	query := "SELECT job.id, address, state, attempt, due, code, status, text, server, line, job.updated, message_domain, message_salt FROM job JOIN campaign ON campaign.id = job.campaign WHERE job.campaign = ?1"
	args := []any{c.ID}
	if len(states) > 0 {
		query += " AND state IN (?" + strings.Repeat(", ?", len(states)-1) + ")"
		for _, state := range states {
			args = append(args, string(state))
		}
	}
	rows, err := s.readDB.QueryContext(ctx, query+" ORDER BY job.id", args...)
	if err != nil {
		return explain(err)
	}
	defer rows.Close()
	var l Lease
	for rows.Next() {
		var r Row
		var id, due, updated int64
		if err := rows.Scan(&id, &r.Email, &r.State, &r.Attempts, &due, &r.Code, &r.Status, &r.Reply, &r.Server, &r.Line, &updated, &l.domain, &l.salt); err != nil {
			return explain(err)
		}
		r.Updated = fromMillis(updated)
		if r.State == Queued {
			r.Due = fromMillis(due)
		}
		if r.State != Invalid {
			r.MessageID = l.messageID(id)
		}
		if earlier {
			if r.Earlier, err = s.attempts(ctx, id); err != nil {
				return explain(err)
			}
			if n := len(r.Earlier); n > 0 && r.State == Queued && r.Reply+r.Status != "" {
				r.Earlier = r.Earlier[:n-1] // the row itself still says how that one ended
			}
		}
		if err := yield(r); err != nil {
			return err
		}
	}
	return explain(rows.Err())
}

func (s *Store) attempts(ctx context.Context, job int64) ([]Attempt, error) {
	rows, err := s.readDB.QueryContext(ctx, "SELECT at, state, code, status, text, server FROM attempt WHERE job = ?1 ORDER BY rowid", job)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Attempt
	for rows.Next() {
		var a Attempt
		var at int64
		if err := rows.Scan(&at, &a.State, &a.Code, &a.Status, &a.Reply, &a.Server); err != nil {
			return nil, err
		}
		a.At = fromMillis(at)
		all = append(all, a)
	}
	return all, rows.Err()
}
