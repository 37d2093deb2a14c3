package sqlite

import (
	"cmp"
	"context"
	"database/sql/driver"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"mailblast/store"
)

// Claim takes rows that are due: the longest due first, and of those that were not tried yet the lowest rank, then in the
// order of the list. Rows on the suppression list become suppressed in place of being claimed.
//
// A claim need not be on the disk by itself. What follows from it is that a message may be begun, and the sync of that
// begin, which comes behind it in the log, carries it along. Where begins are not synced (durability: process) the
// claim is, so that after a power cut a row that reads queued was certainly not sent since.
func (l *Lease) Claim(ctx context.Context, w store.Want) (jobs []store.Job, err error) {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	durability := "process"
	if l.durability == "process" {
		durability = "strict"
	}
	owner, version, pinned := l.owner, l.version, l.pinned
	err = s.writeAs(ctx, durability, func(ctx context.Context) error {
		now := millis(time.Now())
		if owner == 0 {
			if version, err = s.dataVersion(ctx); err != nil {
				return err
			}
			if pinned, err = l.hasPinned(ctx); err != nil {
				return err
			}
		}
		if owner == 0 || l.route != w.Route {
			if owner, err = l.newOwner(ctx, w.Route, now); err != nil {
				return err
			}
		}
		delta := map[string]int64{}
		jobs, err = l.take(ctx, owner, w.N, now, delta)
		switch {
		case err != nil:
			return err
		case len(jobs) == 0 && w.N > 0:
			return l.verifyIdle(ctx, now)
		case pinned:
			if err := l.readPins(ctx, jobs); err != nil {
				return err
			}
		}
		if jobs, err = l.suppressClaimed(ctx, jobs, now, delta); err != nil {
			return err
		}
		return s.count(ctx, l.id, delta)
	})
	if err != nil {
		return nil, explain(err)
	}
	l.owner, l.version, l.pinned, l.route = owner, version, pinned, w.Route
	return jobs, nil
}

// newOwner is a number that no process has had or will have, inside the caller's transaction.
func (l *Lease) newOwner(ctx context.Context, route string, now int64) (owner int64, err error) {
	err = l.store.each(ctx, 1, func(row []driver.Value) error { owner, _ = row[0].(int64); return nil },
		"INSERT INTO owner (campaign, boot, pid, since, server) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id", l.id, l.store.boot, os.Getpid(), now, route)
	return owner, err
}

// take claims up to n rows that are due, inside the caller's transaction.
func (l *Lease) take(ctx context.Context, owner int64, n int, now int64, delta map[string]int64) ([]store.Job, error) {
	places := make([]place, 0, max(n, 0))
	// SQLite would look at the values of ?3 and ?5 when it makes its plan, were they alone there, and make a new one
	// for every claim.
	err := l.store.each(ctx, 6, func(row []driver.Value) error {
		p, err := l.place(row, owner)
		if err != nil {
			return err
		}
		places = append(places, p)
		delta[string(store.Queued)]--
		if p.job.Attempt > 1 {
			delta[deferred]--
		}
		return nil
	}, `UPDATE OR FAIL job SET state = 'claimed', owner = ?1, attempt = attempt + 1, updated = ?2
		WHERE id IN (SELECT id FROM job WHERE campaign = +?3 AND state = 'queued' AND due <= ?4 ORDER BY due, rank, id LIMIT ?5 + 0) AND state = 'queued'
		RETURNING id, address, fields, attempt, due, rank`, owner, now, l.id, now, n)
	return inOrder(places), err
}

// A place is where a claimed row stood in the queue.
type place struct {
	job  store.Job
	due  int64
	rank float64
}

// place reads a row of take.
func (l *Lease) place(row []driver.Value, owner int64) (place, error) {
	p := place{job: store.Job{Campaign: l.name, Owner: owner}}
	j := &p.job
	var ok [6]bool
	var attempt int64
	var fields string
	j.ID, ok[0] = row[0].(int64)
	j.Address, ok[1] = row[1].(string)
	fields, ok[2] = row[2].(string)
	attempt, ok[3] = row[3].(int64)
	p.due, ok[4] = row[4].(int64)
	p.rank, ok[5] = row[5].(float64)
	if ok != [6]bool{true, true, true, true, true, true} {
		return p, errDamaged{fmt.Sprintf("row %v of the recipients has values of the wrong type", row[0])}
	}
	j.Fields, j.Attempt = []byte(fields), int(attempt)
	j.Domain = j.Address[strings.LastIndexByte(j.Address, '@')+1:]
	j.MessageID = l.messageID(j.ID)
	return p, nil
}

// inOrder are the jobs as they stood in the queue; SQLite returns the rows of an update in an order of its own.
func inOrder(places []place) []store.Job {
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.rank, b.rank), cmp.Compare(a.job.ID, b.job.ID))
	})
	jobs := make([]store.Job, len(places))
	for i, p := range places {
		jobs[i] = p.job
	}
	return jobs
}
