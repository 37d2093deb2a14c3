package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"mailblast/store"
)

// loadGroup is how many rows one INSERT takes: a call into SQLite costs more than a row.
const loadGroup = 50

// Load writes the campaign's snapshot and adds the recipients that next yields until io.EOF, in one transaction: after
// an error, or a crash, nothing of it is there. Rows whose address the campaign has already are left as they are.
// Another goroutine calls next, one call after the other, and none when Load has returned.
func (l *Lease) Load(ctx context.Context, snap store.Snapshot, accept bool, next func() (store.Recipient, error)) (done store.Loaded, err error) {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	// With foreign keys, or where a fault has to undo one statement, SQLite keeps a journal of every statement, which
	// costs a fifth of the time. Here the rows belong to a campaign that this transaction has seen, and a fault undoes
	// the whole transaction.
	if err := s.exec(ctx, "PRAGMA foreign_keys=OFF"); err != nil {
		return store.Loaded{}, explain(err)
	}
	defer func() {
		if e := s.exec(context.WithoutCancel(ctx), "PRAGMA foreign_keys=ON"); err == nil {
			err = e
		}
	}()
	err = s.writeAs(ctx, "strict", func(plain context.Context) error {
		id, position, err := s.saveSnapshot(plain, l.name, snap, accept)
		if err != nil {
			return err
		}
		if err := l.read(plain); err != nil {
			return err
		}
		in := inserter{store: s, campaign: id, now: millis(time.Now()), added: map[string]int64{}, queries: map[loadShape]string{}}
		if err := s.writer.QueryRowContext(plain, "SELECT coalesce(max(id), 0) FROM job").Scan(&in.last); err != nil {
			return err
		}
		if in.filter, err = s.suppressionFilter(plain); err != nil {
			return err
		}
		rows := reader{next: next, position: position, rank: snap.Rank}
		if err := rows.each(ctx, func(b *batch) error { return in.add(plain, b) }); err != nil {
			return err
		}
		done = in.done
		done.Invalid, done.Suppressed = in.added[string(store.Invalid)], in.added[string(store.Suppressed)]
		if in.added[string(store.Queued)] > 0 {
			if err := s.exec(plain, "UPDATE campaign SET finished = NULL WHERE id = ?1", id); err != nil {
				return err
			}
		}
		return s.count(plain, id, in.added)
	})
	if err != nil {
		return store.Loaded{}, explain(err)
	}
	return done, nil
}

// rerank gives the queued rows of a campaign their places in another order, inside the caller's transaction; position
// is where the values are in the rows that snap.Rank asks for.
func (s *Store) rerank(ctx context.Context, campaign int64, snap store.Snapshot, position []int) error {
	type row struct {
		id   int64
		rank float64
	}
	var batch []row
	var stored []string
	values := make([]string, len(position))
	for last := int64(0); ; {
		batch = batch[:0]
		err := s.each(ctx, 2, func(v []driver.Value) error {
			id, isID := v[0].(int64)
			fields, isText := v[1].(string)
			if !isID || !isText {
				return errDamaged{fmt.Sprintf("row %v of the recipients has values of the wrong type", v[0])}
			}
			r := row{id: id}
			if snap.Rank != nil {
				var err error
				if stored, err = store.DecodeFields(stored, []byte(fields)); err != nil {
					return fmt.Errorf("fields of row %d: %w", id, err)
				}
				for i, at := range position {
					values[i] = ""
					if at < len(stored) {
						values[i] = stored[at]
					}
				}
				r.rank = snap.Rank(values)
			}
			batch = append(batch, r)
			return nil
		}, "SELECT id, fields FROM job NOT INDEXED WHERE campaign = ?1 AND state = 'queued' AND id > ?2 ORDER BY id LIMIT 1000", campaign, last)
		if err != nil || len(batch) == 0 {
			return err
		}
		for _, r := range batch {
			if err := s.exec(ctx, "UPDATE job SET rank = ?1 WHERE id = ?2", r.rank, r.id); err != nil {
				return err
			}
		}
		last = batch[len(batch)-1].id
	}
}

// An inserter writes batches into the table.
type inserter struct {
	store    *Store
	campaign int64
	now      int64
	filter   suppressionFilter
	last     int64 // the table's highest id
	done     store.Loaded
	added    map[string]int64 // rows by state
	args     []any            // of rows that are not all to be sent
	queries  map[loadShape]string
}

func (in *inserter) add(ctx context.Context, b *batch) error {
	for args, extras := b.args, b.extras; len(extras) > 0; {
		n := loadGroup
		if len(extras) < n {
			n = 1 // one by one: four statements are prepared, not a hundred
		}
		if err := in.insert(ctx, args[:n*jobArgs], extras[:n]); err != nil {
			return err
		}
		args, extras = args[n*jobArgs:], extras[n:]
	}
	return nil
}

// insert adds the rows whose arguments and extras these are, but for those that the campaign has.
func (in *inserter) insert(ctx context.Context, args []any, extras []extra) error {
	if err := in.suppress(ctx, args, extras); err != nil {
		return err
	}
	shape := loadShape{len(extras), !slices.ContainsFunc(extras, func(f extra) bool { return f != toSend })}
	if !shape.toSend {
		in.args = in.args[:0]
		for i, f := range extras {
			in.args = append(append(in.args, args[i*jobArgs:][:jobArgs]...), string(f.state), f.text, f.rank)
		}
		args = in.args
	}
	rows := int64(len(extras))
	n, err := in.store.changes(ctx, in.query(shape), args...)
	if err != nil {
		return err
	}
	in.done.Added += n
	in.done.Known += rows - n
	switch n {
	case 0:
	case rows:
		for _, f := range extras {
			in.count(string(f.state), f.rank)
		}
	default: // who of them is new is known by the ids, which go up
		err = in.store.each(ctx, 2, func(row []driver.Value) error {
			state, _ := row[0].(string)
			rank, _ := row[1].(float64)
			in.count(state, rank)
			return nil
		}, "SELECT state, rank FROM job WHERE id > ?1", in.last)
	}
	in.last += n
	return err
}

// A loadShape is what the statements that insert rows differ in.
type loadShape struct {
	rows   int
	toSend bool // all of them
}

// query is the statement that inserts rows. What all of them share is part of its text, as each argument costs time to bind.
func (in *inserter) query(shape loadShape) string {
	if known, ok := in.queries[shape]; ok {
		return known
	}
	b := strings.Builder{}
	b.WriteString("INSERT OR FAIL INTO job (campaign, updated, identity, address, fields, line, state, text, rank) VALUES ")
	for i := range shape.rows {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "(%d, %d, ?, ?, ?, ?, ", in.campaign, in.now)
		if shape.toSend {
			fmt.Fprintf(&b, "'%s', '', 0)", store.Queued)
		} else {
			b.WriteString("?, ?, ?)")
		}
	}
	b.WriteString(" ON CONFLICT (campaign, identity) DO NOTHING")
	in.queries[shape] = b.String()
	return in.queries[shape]
}

func (in *inserter) count(state string, rank float64) {
	in.added[state]++
	if state == string(store.Queued) && rank > math.MaxFloat64 {
		in.done.Unranked++
	}
}

// suppress marks the rows that are on the suppression list. Rows that the campaign has already stay as they are; they are
// looked at when they are claimed.
func (in *inserter) suppress(ctx context.Context, args []any, extras []extra) error {
	if !in.filter.any {
		return nil
	}
	addresses := make([]string, 0, loadGroup)
	for row := range slices.Chunk(args, jobArgs) {
		addresses = append(addresses, row[0].(string))
	}
	found, err := in.filter.entries(ctx, addresses)
	for i, address := range addresses {
		if e, ok := found[address]; ok && extras[i].state == store.Queued {
			extras[i].state, extras[i].text = store.Suppressed, reasonFor(e, address)
		}
	}
	return err
}
