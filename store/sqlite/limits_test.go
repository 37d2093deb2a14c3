package sqlite

import (
	"database/sql/driver"
	"fmt"
	"testing"
	"time"

	"mailblast/store"
)

const (
	relay = "smtp.example.com postbote"
	day   = 24 * time.Hour
)

var morning = time.Date(2026, 6, 1, 6, 30, 0, 0, time.UTC)

// pair is a queue that two processes have open.
func pair(t testing.TB) [2]*Store {
	t.Helper()
	first := open(t)
	second, err := Open(t.Context(), first.Path(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { second.Close() })
	for _, s := range []*Store{first, second} {
		if err := s.exec(t.Context(), "PRAGMA synchronous=OFF"); err != nil { // nobody cuts the power here
			t.Fatal(err)
		}
	}
	return [2]*Store{first, second}
}

// For how long a message counts: until the latest one of its step, which may have left a little late, is as long ago as
// the limit says.
func TestWindow(t *testing.T) {
	for per, want := range map[time.Duration]time.Duration{
		time.Minute: time.Minute + 600*time.Millisecond + time.Second,
		time.Hour:   time.Hour + 30*time.Second + time.Minute,
		day:         day + 30*time.Second + time.Minute,
		30 * day:    30*day + 30*time.Second + time.Hour,
	} {
		if got := windowOf(store.Rate{N: 10, Per: per}); got != want {
			t.Errorf("%v: %v, want %v", per, got, want)
		}
	}
}

// The rates of very many domains do not stay for ever, and what is used up of those that are there does.
func TestForgetPaces(t *testing.T) {
	s := open(t)
	l := store.Allowance{Rates: []store.Rate{{N: 20, Per: time.Second}}}
	slow := store.Allowance{Rates: []store.Rate{{N: 1, Per: time.Hour}}}
	if g, err := s.Reserve(t.Context(), relay, "slow.example", slow, 1, morning); g.N != 1 || err != nil {
		t.Fatal(g, err)
	}
	now := morning
	for n := range 2 * bucketsKept {
		now = now.Add(10 * time.Millisecond)
		if g, err := s.Reserve(t.Context(), relay, fmt.Sprintf("domain%d.example", n), l, 1, now); g.N != 1 || err != nil {
			t.Fatal(g, err)
		}
	}
	var n int64
	if err := s.each(t.Context(), 1, func(row []driver.Value) error { n, _ = row[0].(int64); return nil }, "SELECT count(*) FROM pace"); err != nil || n > bucketsKept/2 {
		t.Errorf("%d are kept, %v", n, err)
	}
	if g, err := s.Reserve(t.Context(), relay, "slow.example", slow, 1, now); g.N != 0 || err != nil {
		t.Errorf("got %+v, %v", g, err)
	}
}

// What the rate of a domain costs, each time: a write, without a sync.
func BenchmarkReserveDomains(b *testing.B) {
	s := open(b)
	l := store.Allowance{Rates: []store.Rate{{N: 20, Per: time.Second}}}
	for n := 0; b.Loop(); n++ {
		if _, err := s.Reserve(b.Context(), relay, fmt.Sprintf("domain%d.example.com", n), l, 1, morning); err != nil {
			b.Fatal(err)
		}
	}
}
