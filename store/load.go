package store

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"
)

// A Recipient is one row to load.
type Recipient struct {
	Identity string   // normalised address
	Address  string   // as it goes on the wire
	Values   []string // in the order of Snapshot.Columns
	Line     int
	Invalid  string // why it cannot be mailed; "" when it can
}

// Loaded says what a load did.
type Loaded struct {
	Added      int64 // new rows, those that are not sent to included
	Invalid    int64 // of these
	Suppressed int64 // of these
	Known      int64 // rows whose address was in the campaign already, earlier in this list or before it
}

// loadGroup is how many rows one INSERT takes: a call into SQLite costs more than a row.
const loadGroup = 50

// Load writes the campaign's snapshot and adds the recipients that next yields until io.EOF, in one transaction: after
// an error, or a crash, nothing of it is there. Rows whose address the campaign has already are left as they are.
func (l *Lease) Load(ctx context.Context, snap Snapshot, accept bool, next func() (Recipient, error)) (done Loaded, err error) {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.writeAs(ctx, "strict", func(plain context.Context) error {
		id, position, err := s.saveSnapshot(plain, l.name, snap, accept)
		if err != nil {
			return err
		}
		if err := l.read(plain); err != nil {
			return err
		}
		var last int64
		if err := s.writer.QueryRowContext(plain, "SELECT coalesce(max(id), 0) FROM job").Scan(&last); err != nil {
			return err
		}
		loader := loader{store: s, campaign: id, position: position, now: millis(time.Now())}
		if loader.gate, err = s.gate(plain); err != nil {
			return err
		}
		for {
			r, err := next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			if err := loader.add(plain, r); err != nil {
				return err
			}
		}
		if err := loader.flush(plain); err != nil {
			return err
		}
		done.Known = loader.read - loader.added
		rows, err := s.writer.QueryContext(plain, "SELECT state, count(*) FROM job WHERE id > ?1 GROUP BY state", last)
		if err != nil {
			return err
		}
		added := map[string]int64{}
		for rows.Next() {
			var state string
			var n int64
			if err := rows.Scan(&state, &n); err != nil {
				rows.Close()
				return err
			}
			added[state] = n
			done.Added += n
		}
		if err := rows.Err(); err != nil {
			return err
		}
		done.Invalid, done.Suppressed = added[string(Invalid)], added[string(Suppressed)]
		if added[string(Queued)] > 0 {
			if err := s.exec(plain, "UPDATE campaign SET finished = NULL WHERE id = ?1", id); err != nil {
				return err
			}
		}
		return s.count(plain, id, added)
	})
	if err != nil {
		return Loaded{}, explain(err)
	}
	return done, nil
}

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

type loader struct {
	store    *Store
	campaign int64
	position []int
	now      int64
	gate     gate

	values      []string // one row's, by position in the campaign's columns
	args        []any    // of up to loadGroup rows
	rows        int      // in args
	read, added int64
}

func (l *loader) add(ctx context.Context, r Recipient) error {
	l.values = l.values[:0]
	for i, v := range r.Values {
		at := l.position[i]
		for len(l.values) <= at {
			l.values = append(l.values, "")
		}
		l.values[at] = v
	}
	fields, err := json.Marshal(l.values)
	if err != nil {
		return err
	}
	state := Queued
	if r.Invalid != "" {
		state = Invalid
	}
	l.args = append(l.args, l.campaign, r.Identity, r.Address, string(fields), r.Line, string(state), l.now, r.Invalid)
	l.rows++
	l.read++
	if l.rows == loadGroup {
		return l.flush(ctx)
	}
	return nil
}

func (l *loader) flush(ctx context.Context) error {
	if l.rows == 0 {
		return nil
	}
	if err := l.suppress(ctx); err != nil {
		return err
	}
	query := "INSERT INTO job (campaign, identity, address, fields, line, state, updated, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?)" +
		strings.Repeat(", (?, ?, ?, ?, ?, ?, ?, ?)", l.rows-1) + " ON CONFLICT (campaign, identity) DO NOTHING"
	n, err := l.store.changes(ctx, query, l.args...)
	l.added += n
	l.rows, l.args = 0, l.args[:0]
	return err
}

// The places in a row's arguments of what suppress reads and writes.
const (
	identityArg = 1
	stateArg    = 5
	textArg     = 7
	jobArgs     = 8
)

// suppress marks those of the group that are on the suppression list. The rows that the campaign has already are left as they
// are here, too; they are looked at when they are claimed.
func (l *loader) suppress(ctx context.Context) error {
	if !l.gate.any {
		return nil
	}
	addresses := make([]string, l.rows)
	for i := range addresses {
		addresses[i] = l.args[i*jobArgs+identityArg].(string)
	}
	found, err := l.gate.look(ctx, addresses)
	for i, address := range addresses {
		row := l.args[i*jobArgs : (i+1)*jobArgs]
		if e, ok := found[address]; ok && row[stateArg] == string(Queued) {
			row[stateArg], row[textArg] = string(Suppressed), e.why(address)
		}
	}
	return err
}
