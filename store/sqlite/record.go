package sqlite

import (
	"context"
	"errors"
	"slices"
	"time"

	"mailblast/store"
)

// Record is the group commit: in one transaction it ends the claims of finish and begins the messages of begin (claimed
// → sending). It returns the jobs of begin that this owner still held, without those that another process has put on
// the suppression list since; the message of any other must not be completed. When it returns without an error,
// everything is as durable as the campaign's durability says. After an error nothing of it was written, and it can be
// repeated.
//
// Outcomes come before begins, so that one connection never has more than two rows in sending: the message whose reply
// is awaited, and the one whose envelope went out with it.
func (l *Lease) Record(ctx context.Context, begin []store.Job, finish []store.Outcome) (kept []store.Job, err error) {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, err = l.record(ctx, begin, finish, groupMost)
	if errors.Is(err, errSomeLost) { // rare, so the rows of a group are not asked for one by one at first
		kept, err = l.record(ctx, begin, finish, 1)
	}
	if err != nil {
		return nil, explain(err)
	}
	return kept, nil
}

// groupMost is for how many rows SQLite is asked at once whether their claims are all held.
const groupMost = 16

// errSomeLost says that not all claims of a group are held, and not which.
var errSomeLost = errors.New("a claim was lost")

// record is Record by groups of so many rows. With groups of one it leaves out the rows whose claims were lost; with larger
// groups it fails with errSomeLost if there are any. The caller holds store.mu.
func (l *Lease) record(ctx context.Context, begin []store.Job, finish []store.Outcome, group int) (kept []store.Job, err error) {
	s := l.store
	durability := l.durability
	if !l.started {
		durability = "strict" // from the first begin on the snapshot is protected, also after a power cut
	}
	err = s.writeAs(ctx, durability, func(ctx context.Context) error {
		at := time.Now()
		now := millis(at)
		delta := map[string]int64{}
		for outcomes := range slices.Chunk(finish, group) {
			if err := l.finish(ctx, outcomes, now, delta); err != nil {
				return err
			}
		}
		allowed, err := l.suppressMeanwhile(ctx, begin, now, delta)
		if err != nil {
			return err
		}
		if kept, err = l.begin(ctx, allowed, now, group); err != nil {
			return err
		}
		if len(kept) > 0 && !l.started {
			if err := s.exec(ctx, "UPDATE campaign SET started = coalesce(started, ?1) WHERE id = ?2", now, l.id); err != nil {
				return err
			}
		}
		if rate, ok := l.rate.add(at, delta); ok {
			if err := s.exec(ctx, "UPDATE campaign SET rate = ?1, updated = ?2 WHERE id = ?3", rate, now, l.id); err != nil {
				return err
			}
		}
		return s.count(ctx, l.id, delta)
	})
	if err != nil {
		return nil, err
	}
	if len(kept) > 0 {
		l.started = true
	}
	return kept, nil
}

// begin begins messages by groups, inside the caller's transaction, and returns those whose claims are held. Where
// there are several servers the row says over which it goes.
func (l *Lease) begin(ctx context.Context, jobs []store.Job, now int64, group int) (kept []store.Job, err error) {
	s := l.store
	for jobs := range slices.Chunk(jobs, group) {
		before, err := s.totalChanges(ctx)
		if err != nil {
			return nil, err
		}
		for i := range jobs {
			j := &jobs[i]
			if err := s.exec(ctx, beginJob, now, j.Route, j.ID, j.Owner, j.Attempt); err != nil {
				return nil, err
			}
		}
		switch after, err := s.totalChanges(ctx); {
		case err != nil:
			return nil, err
		case after-before == int64(len(jobs)):
			kept = append(kept, jobs...)
		case len(jobs) > 1:
			return nil, errSomeLost
		}
	}
	return kept, nil
}

// A statement for each row. A list of rows in one statement would be a table to SQLite, which it makes and drops again with a cache of its own: for
// a group of ten that takes more than the ten statements.
//
// OR FAIL, since an error ends the whole transaction anyway: SQLite keeps no journal by which it could take back this statement alone.
const (
	beginJob = `UPDATE OR FAIL job SET state = 'sending', updated = ?1, server = coalesce(nullif(?2, ''), server)
		WHERE id = ?3 AND owner = ?4 AND attempt = ?5 AND state = 'claimed'`
	endJob = `UPDATE OR FAIL job SET state = ?1, due = ?2, code = ?3, status = ?4, text = ?5, server = ?6, attempt = ?7, owner = NULL, updated = ?8
		WHERE id = ?9 AND attempt = ?10 AND `
	finishJob = endJob + "state IN ('claimed', 'sending') AND owner = ?11"
	amendJob  = endJob + "state = 'failed'"
)

// finish writes the outcomes of a group, inside the caller's transaction. One whose claim was lost changes nothing.
func (l *Lease) finish(ctx context.Context, group []store.Outcome, now int64, delta map[string]int64) error {
	s := l.store
	before, err := s.totalChanges(ctx)
	if err != nil {
		return err
	}
	for i := range group {
		o := &group[i]
		query, args := finishJob, []any{string(o.State), millis(o.Due), o.Code, o.Status, o.Text, o.Server, o.Attempts(), now, o.Job.ID, o.Job.Attempt, o.Job.Owner}
		if o.Kind.Amends() {
			query, args = amendJob, args[:len(args)-1]
		}
		if err := s.exec(ctx, query, args...); err != nil {
			return err
		}
	}
	switch after, err := s.totalChanges(ctx); {
	case err != nil:
		return err
	case after-before == int64(len(group)):
	case len(group) > 1:
		return errSomeLost
	default:
		return nil
	}
	for i := range group {
		if err := l.finished(ctx, &group[i], now, delta); err != nil {
			return err
		}
	}
	return nil
}

// finished writes what follows from an outcome, inside the caller's transaction.
func (l *Lease) finished(ctx context.Context, o *store.Outcome, now int64, delta map[string]int64) error {
	if o.Kind.Amends() {
		delta[string(store.Failed)]--
	}
	delta[string(o.State)]++
	if o.Kind.Suppresses() {
		if err := l.suppressBounced(ctx, o, now); err != nil {
			return err
		}
	}
	if o.State != store.Queued {
		return nil
	}
	if o.Attempts() > 0 {
		delta[deferred]++
	}
	if o.Code == 0 && o.Text == "" {
		return nil
	}
	return l.store.exec(ctx, "INSERT INTO attempt (job, at, state, code, status, text, server) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
		o.Job.ID, now, string(o.State), o.Code, o.Status, o.Text, o.Server)
}

// A rateMeter measures how many messages end in a second, and says when it is time to write the figure down.
type rateMeter struct {
	since time.Time
	n     int64
	told  bool // there was a figure
}

func (m *rateMeter) add(now time.Time, delta map[string]int64) (rate float64, ok bool) {
	if m.since.IsZero() {
		m.since = now
	}
	m.n += delta[string(store.Sent)] + delta[string(store.Failed)] + delta[string(store.InDoubt)]
	passed := now.Sub(m.since)
	if passed < 2*time.Second {
		return 0, false
	}
	rate = float64(m.n) / passed.Seconds()
	m.since, m.n, m.told = now, 0, true
	return rate, true
}
