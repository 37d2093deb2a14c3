package sqlite

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"mailblast/store"
)

// A Lease is the right to change a campaign's rows. One process has it at a time; the operating system takes it away
// when the process dies, however it dies.
type Lease struct {
	store *Store
	lock  *flock.Flock
	name  string
	owner int64 // of the rows that this process holds; 0 before the first claim

	route  string // the server that all messages go over; "": several
	pinned bool   // somebody may be pinned to a server: see pin.go

	// Read from the campaign's row; zero until it exists.
	id           int64
	domain, salt string
	durability   string
	started      bool
	version      int64 // of the queue when it was claimed from first: see suppressMeanwhile

	rate rateMeter // touched under store.mu
}

// locksSuffix makes the queue's name that of the folder of its locks.
const locksSuffix = ".locks"

// Acquire takes the lease of the campaign of that name, which need not exist yet: Load makes it. ErrHeld when another
// process has it. A queue that is damaged is refused. Call Recover before the first Claim.
func (s *Store) Acquire(ctx context.Context, name string) (store.Lease, error) {
	l, err := s.acquire(ctx, name)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (s *Store) acquire(ctx context.Context, name string) (*Lease, error) {
	dir := s.path + locksSuffix
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("campaign lock: %w", err)
	}
	lock := s.lockOf(name)
	// A status command that looks whether the lock is held has it for a moment itself. That ctx ends, as by --max-runtime, does not mean
	// that somebody has it.
	brief, cancel := context.WithTimeout(context.WithoutCancel(ctx), 200*time.Millisecond)
	defer cancel()
	switch _, err := lock.TryLockContext(brief, 20*time.Millisecond); {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("campaign %q: %w", name, store.ErrHeld)
	case err != nil:
		return nil, fmt.Errorf("campaign lock: %w", err)
	}
	l := &Lease{store: s, lock: lock, name: name}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.patiently(ctx, func() error { return l.read(context.WithoutCancel(ctx)) })
	if err == nil || errors.Is(err, sql.ErrNoRows) {
		err = l.verify(ctx)
	}
	if err != nil {
		l.lock.Unlock()
		return nil, explain(err)
	}
	return l, nil
}

// Held reports whether a process has the lease of a campaign.
func (s *Store) Held(_ context.Context, name string) (bool, error) {
	lock := s.lockOf(name)
	free, err := lock.TryLock()
	if free {
		lock.Unlock()
	}
	return err == nil && !free, nil // no lock that cannot be taken at all is held: there is none, or the folder is read-only
}

// lockOf is a file of its own, as a record lock on the database would be dropped by any close of it. It is never removed: a
// process could hold the removed file while the next one locks a new one.
func (s *Store) lockOf(name string) *flock.Flock {
	sum := sha256.Sum256([]byte(name))
	return flock.New(filepath.Join(s.path+locksSuffix, hex.EncodeToString(sum[:8])), flock.SetPermissions(0o600))
}

// Release gives the lease up.
func (l *Lease) Release() error {
	return l.lock.Unlock()
}

// read takes what every claim needs from the campaign's row. The caller holds store.mu.
func (l *Lease) read(ctx context.Context) error {
	return l.store.writer.QueryRowContext(ctx, `SELECT id, message_domain, message_salt, durability, started IS NOT NULL FROM campaign WHERE name = ?1`, l.name).
		Scan(&l.id, &l.domain, &l.salt, &l.durability, &l.started)
}

// Recover settles what an owner that no longer lives left: rows that were claimed are queued again, their attempt
// uncounted; rows that were sending are in doubt. After a reboot under durability: process a row that reads claimed may have been
// sending, because that write was still on its way to the disk: it is in doubt too, and so it is where nobody can tell
// whether there was a reboot. Who is in doubt carries the server that may have the message, if that is known. Rows that were deferred while the clock was
// ahead are due as long from now as they were then; those that waited for a server are due now.
func (l *Lease) Recover(ctx context.Context) (requeued, inDoubt int, err error) {
	if l.id == 0 {
		return 0, 0, nil
	}
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.writeAs(ctx, "strict", func(ctx context.Context) error {
		rows, err := s.writer.QueryContext(ctx, `SELECT job.id, state, attempt, coalesce(boot, ''),
				CASE WHEN owner.server <> '' THEN owner.server WHEN state = 'sending' THEN job.server ELSE '' END
			FROM job INDEXED BY job_held LEFT JOIN owner ON owner.id = job.owner WHERE job.campaign = ?1 AND job.owner IS NOT NULL`, l.id)
		if err != nil {
			return err
		}
		type held struct {
			id      int64
			state   string
			attempt int
			server  string
			doubt   bool
		}
		var all []held
		for rows.Next() {
			var h held
			var boot string
			if err := rows.Scan(&h.id, &h.state, &h.attempt, &boot, &h.server); err != nil {
				rows.Close()
				return err
			}
			if store.State(h.state) != store.Claimed && store.State(h.state) != store.Sending {
				rows.Close()
				return errDamaged{fmt.Sprintf("an index has row %d as held, but it is %q", h.id, h.state)}
			}
			h.doubt = store.State(h.state) == store.Sending || l.durability == "process" && !sameBoot(boot, s.boot)
			all = append(all, h)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		delta := map[string]int64{}
		now := millis(time.Now())
		for _, h := range all {
			if h.doubt {
				inDoubt++
				delta[string(store.InDoubt)]++
				err = s.exec(ctx, "UPDATE job SET state = 'in_doubt', owner = NULL, updated = ?1, code = 0, status = '', text = 'the run ended before the reply of the server was written down', server = ?2 WHERE id = ?3", now, h.server, h.id)
			} else {
				requeued++
				delta[string(store.Queued)]++
				if h.attempt > 1 {
					delta[deferred]++
				}
				err = s.exec(ctx, "UPDATE job SET state = 'queued', owner = NULL, updated = ?1, attempt = attempt - 1 WHERE id = ?2", now, h.id)
			}
			if err != nil {
				return err
			}
		}
		if err := l.setBack(ctx, now); err != nil {
			return err
		}
		if err := l.again(ctx); err != nil {
			return err
		}
		return s.count(ctx, l.id, delta)
	})
	if err != nil {
		return 0, 0, explain(err)
	}
	return requeued, inDoubt, nil
}

// setBack mends rows that were put off before the clock was set back: they would wait for as long as it was ahead. The caller
// holds store.mu and has begun a transaction.
func (l *Lease) setBack(ctx context.Context, now int64) error {
	return l.store.exec(ctx, "UPDATE job SET due = due - updated + ?1, updated = ?2 WHERE campaign = ?3 AND state = 'queued' AND due > ?4 AND updated > ?5",
		now, now, l.id, now, now)
}

// Claim takes rows that are due: the longest due first, and of those that were not tried yet the lowest rank, then in the order
// of the list. Rows on the suppression list become suppressed in place of being
// claimed, so that there may be fewer than are wanted, or none, while more are due.
//
// A claim need not be on the disk by itself: what follows from it is that a message may be begun, and the sync of that begin, which
// comes behind it in the log, carries it along. Where begins are not synced (durability: process) the claim is, so that after a
// power cut a row that reads queued was certainly not sent since.
func (l *Lease) Claim(ctx context.Context, w store.Want) ([]store.Job, error) {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	var jobs []store.Job
	owner := l.owner
	durability := "process"
	if l.durability == "process" {
		durability = "strict"
	}
	err := s.writeAs(ctx, durability, func(ctx context.Context) error {
		now := millis(time.Now())
		if owner == 0 || l.route != w.Route {
			// A number that no process has had or will have.
			err := s.each(ctx, 1, func(row []driver.Value) error { owner, _ = row[0].(int64); return nil },
				"INSERT INTO owner (campaign, boot, pid, since, server) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id", l.id, s.boot, os.Getpid(), now, w.Route)
			if err != nil {
				return err
			}
			if l.pinned, err = l.hasPinned(ctx); err != nil {
				return err
			}
			if l.version, err = s.dataVersion(ctx); err != nil {
				return err
			}
		}
		delta := map[string]int64{}
		places := make([]place, 0, max(w.N, 0))
		// SQLite would look at the values of ?3 and ?5 when it makes its plan, were they alone there, and make a new one for every claim.
		err := s.each(ctx, 6, func(row []driver.Value) error {
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
				return errDamaged{fmt.Sprintf("row %v of the recipients has values of the wrong type", row[0])}
			}
			j.Fields, j.Attempt = []byte(fields), int(attempt)
			j.Domain = j.Address[strings.LastIndexByte(j.Address, '@')+1:]
			j.MessageID = l.messageID(j.ID)
			places = append(places, p)
			delta[string(store.Queued)]--
			if j.Attempt > 1 {
				delta[deferred]--
			}
			return nil
		}, `UPDATE job SET state = 'claimed', owner = ?1, attempt = attempt + 1, updated = ?2
			WHERE id IN (SELECT id FROM job WHERE campaign = +?3 AND state = 'queued' AND due <= ?4 ORDER BY due, rank, id LIMIT ?5 + 0) AND state = 'queued'
			RETURNING id, address, fields, attempt, due, rank`, owner, now, l.id, now, w.N)
		if err != nil {
			return err
		}
		if len(places) == 0 && w.N > 0 {
			return l.verifyIdle(ctx, now)
		}
		jobs = inOrder(places)
		if l.pinned {
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
	l.owner, l.route = owner, w.Route
	return jobs, nil
}

// A place is where a claimed row stood in the queue.
type place struct {
	job  store.Job
	due  int64
	rank float64
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

// messageID is made of what never changes: the row's id, and the campaign's salt and domain.
func (l *Lease) messageID(id int64) string {
	return strconv.FormatInt(id, 16) + "." + l.salt + "@" + l.domain
}

// Pending counts what is left, and says when the next row is due (zero when none is queued).
func (l *Lease) Pending(ctx context.Context) (counts store.Counts, nextDue time.Time, err error) {
	c, err := l.store.Campaign(ctx, l.name)
	return c.Counts, c.NextDue, err
}

// Finish marks the campaign as finished if nothing is left to do, and writes down how fast a short run was. A campaign whose rows
// are not as many in each state as were written down is damaged, and not finished. What is left is due at times by the clock of now.
func (l *Lease) Finish(ctx context.Context) error {
	s := l.store
	if c, err := s.Campaign(ctx, l.name); err != nil {
		return err
	} else if c.Counts.Pending() == 0 && c.Finished.IsZero() {
		if err := l.recount(ctx); err != nil {
			return explain(err)
		}
	}
	return explain(s.write(ctx, func(ctx context.Context) error {
		if passed := time.Since(l.rate.since); !l.rate.told && l.rate.n > 0 {
			if err := s.exec(ctx, "UPDATE campaign SET rate = ?1 WHERE id = ?2", float64(l.rate.n)/passed.Seconds(), l.id); err != nil {
				return err
			}
		}
		now := millis(time.Now())
		c, err := counts(ctx, s.writer, l.id)
		if err != nil {
			return err
		}
		if c.Pending() > 0 {
			if err := l.again(ctx); err != nil {
				return err
			}
			return l.setBack(ctx, now) // so that nobody is told to come back in a day
		}
		return s.exec(ctx, "UPDATE campaign SET finished = coalesce(finished, ?1), updated = ?2 WHERE id = ?3", now, now, l.id)
	}))
}

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

// Expire ends all rows that are queued: it is too late for them.
func (l *Lease) Expire(ctx context.Context) error {
	s := l.store
	return explain(s.write(ctx, func(ctx context.Context) error {
		late, err := s.changes(ctx, "UPDATE job SET state = 'failed', due = 0, updated = ?1, code = 0, status = '', text = 'expired', server = '' WHERE campaign = ?2 AND state = 'queued' AND attempt > 0",
			millis(time.Now()), l.id)
		if err != nil {
			return err
		}
		n, err := s.changes(ctx, "UPDATE job SET state = 'failed', due = 0, updated = ?1, text = 'expired' WHERE campaign = ?2 AND state = 'queued'", millis(time.Now()), l.id)
		if err != nil {
			return err
		}
		return s.count(ctx, l.id, map[string]int64{string(store.Queued): -n - late, deferred: -late, string(store.Failed): n + late})
	}))
}
