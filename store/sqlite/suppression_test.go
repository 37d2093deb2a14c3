package sqlite

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"mailblast/store"
	"mailblast/store/storetest"
)

func suppress(t testing.TB, s *Store, addresses ...string) {
	t.Helper()
	if _, _, err := s.Suppress(t.Context(), storetest.Entries(addresses...)); err != nil {
		t.Fatal(err)
	}
}

// Who suppresses people while a campaign is sent waits for the lock that the sender has.
func TestSuppressLocked(t *testing.T) {
	s, l := loaded(t, 3)
	other, err := Open(t.Context(), s.Path(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	claim(t, l, 1)
	locked, done := make(chan bool), make(chan error, 1)
	go func() {
		done <- s.write(context.Background(), func(context.Context) error {
			close(locked)
			time.Sleep(20 * time.Millisecond)
			return nil
		})
	}()
	<-locked
	suppress(t, other, "@example.com")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if jobs := claim(t, l, 3); len(jobs) != 0 {
		t.Errorf("%d claimed", len(jobs))
	}
}

func BenchmarkSuppress(b *testing.B) {
	s := open(b)
	n := 0
	b.ReportAllocs()
	if _, _, err := s.Suppress(b.Context(), func() (store.Suppression, error) {
		if n == b.N {
			return store.Suppression{}, io.EOF
		}
		n++
		// In no order, as lists are.
		return store.Suppression{Address: fmt.Sprintf("user%d@example%d.com", uint32(n)*2654435761, n%1000), Reason: "unsubscribed", Source: "list.csv"}, nil
	}); err != nil {
		b.Fatal(err)
	}
}

// A load against a list of a million.
func BenchmarkLoadSuppressed(b *testing.B) {
	s := open(b)
	n := 0
	if _, _, err := s.Suppress(b.Context(), func() (store.Suppression, error) {
		if n == 1_000_000 {
			return store.Suppression{}, io.EOF
		}
		n++
		return store.Suppression{Address: fmt.Sprintf("someone%d@example.com", n)}, nil
	}); err != nil {
		b.Fatal(err)
	}
	suppress(b, s, "@example.net", "@.example.org")
	l := acquire(b, s, "test")
	b.ReportAllocs()
	b.ResetTimer()
	if _, err := l.Load(b.Context(), storetest.Snapshot, false, storetest.List(b.N)); err != nil {
		b.Fatal(err)
	}
}
