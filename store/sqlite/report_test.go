package sqlite

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"mailblast/store"
)

// Whoever reads a report slowly does not keep the log from being emptied.
func TestRowsSlowReader(t *testing.T) {
	s, l := loaded(t, 2*rowBatch+1)
	n := 0
	err := s.Rows(t.Context(), "test", nil, true, func(store.Row) error {
		if n++; n%rowBatch != 1 {
			return nil
		}
		record(t, l, claim(t, l, 1))
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.checkpoint(t.Context())
	})
	if err != nil || n != 2*rowBatch+1 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// Every row once and in order, whatever the batches, the states asked for, and the campaigns between.
func TestRowsInBatches(t *testing.T) {
	for _, n := range []int{0, 1, rowBatch - 1, rowBatch, rowBatch + 1, 2 * rowBatch} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			s, l := loaded(t, n)
			if _, err := acquire(t, s, "other").Load(t.Context(), snapshot, false, list(5)); err != nil {
				t.Fatal(err)
			}
			more := slicesNext([]store.Recipient{{Identity: "last@example.com", Address: "last@example.com", Line: n + 100}})
			if _, err := l.Load(t.Context(), snapshot, false, more); err != nil {
				t.Fatal(err)
			}
			for _, states := range [][]store.State{nil, {store.Queued, store.Failed}} {
				var lines []int
				err := s.Rows(t.Context(), "test", states, false, func(r store.Row) error { lines = append(lines, r.Line); return nil })
				if err != nil || len(lines) != n+1 || !slices.IsSorted(lines) || len(slices.Compact(lines)) != n+1 {
					t.Errorf("%d rows of %d, %v", len(lines), n+1, err)
				}
			}
			stop := errors.New("stop")
			if err := s.Rows(t.Context(), "test", nil, false, func(store.Row) error { return stop }); !errors.Is(err, stop) {
				t.Errorf("got %v", err)
			}
		})
	}
}
