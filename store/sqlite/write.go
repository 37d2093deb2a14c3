package sqlite

import (
	"context"
	"fmt"
	"time"
)

// write runs do in one immediate transaction that is on the disk when write returns nil, waiting for other writers as
// long as ctx allows. The transaction itself is not cancelled half way: what is written down is worth more than a quick
// end.
func (s *Store) write(ctx context.Context, do func(context.Context) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writeAs(ctx, "strict", do)
}

// writeAs is write with a durability: "process" leaves the fsync to the operating system. The caller holds s.mu.
func (s *Store) writeAs(ctx context.Context, durability string, do func(context.Context) error) error {
	var n int64
	err := s.transaction(ctx, durability, func(ctx context.Context) (err error) {
		if n, err = s.countTransaction(ctx); err != nil {
			return err
		}
		return do(ctx)
	})
	if err == nil {
		s.mark(n, durability == "strict")
	}
	return err
}

// transaction runs do in a transaction that is not counted. The caller holds s.mu.
func (s *Store) transaction(ctx context.Context, durability string, do func(context.Context) error) error {
	// A context that can end makes the driver start a goroutine for every statement.
	plain := context.WithoutCancel(ctx)
	if durability != s.durability {
		mode := "FULL"
		if durability == "process" {
			mode = "NORMAL"
		}
		if err := s.exec(plain, "PRAGMA synchronous="+mode); err != nil {
			return err
		}
		s.durability = durability
	}
	if err := s.retryBusy(ctx, func() error { return s.exec(plain, "BEGIN IMMEDIATE") }); err != nil {
		return err
	}
	err := do(plain)
	if err == nil {
		err = s.exec(plain, "COMMIT")
	}
	if err != nil {
		// After some errors SQLite has rolled back by itself, and says so; either way nothing is left open.
		_ = s.exec(plain, "ROLLBACK")
	}
	return err
}

// retryBusy repeats do while another process is in its way, for as long as ctx allows: somebody loads a large list, or holds
// the lock in a shell.
func (s *Store) retryBusy(ctx context.Context, do func() error) error {
	err := do()
	for busy(err) && ctx.Err() == nil {
		select { // SQLite has waited for a second, or knows that it is of no use at the moment
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
			err = do()
		}
	}
	if busy(err) {
		return fmt.Errorf("%w while another program held the queue", context.Cause(ctx))
	}
	return err
}
