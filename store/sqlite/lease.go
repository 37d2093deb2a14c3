package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
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

	// Read from the campaign's row; zero until it exists.
	id           int64
	domain, salt string
	durability   string
	started      bool

	// Of the claims.
	owner   int64  // this process's number; 0 before the first claim
	route   string // the server that all messages go over; "": several
	pinned  bool   // somebody may be pinned to a server: see pin.go
	version int64  // of the queue when it was claimed from first: see suppressMeanwhile

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
	// A status command that looks whether the lock is held has it for a moment itself. That ctx ends, as by
	// --max-runtime, does not mean that somebody has it.
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
	err := s.retryBusy(ctx, func() error { return l.read(context.WithoutCancel(ctx)) })
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
func (l *Lease) Release() error { return l.lock.Unlock() }

// read takes what every claim needs from the campaign's row. The caller holds store.mu.
func (l *Lease) read(ctx context.Context) error {
	row := l.store.writer.QueryRowContext(ctx, "SELECT id, message_domain, message_salt, durability, started IS NOT NULL FROM campaign WHERE name = ?1", l.name)
	return row.Scan(&l.id, &l.domain, &l.salt, &l.durability, &l.started)
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
