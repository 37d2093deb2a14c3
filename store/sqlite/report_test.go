package sqlite

import (
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
