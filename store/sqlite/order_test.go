package sqlite

import (
	"io"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"mailblast/store"
)

// ordered is the snapshot of a campaign with an order.
func ordered(order string, rank func([]string) float64) store.Snapshot {
	snap := snapshot
	snap.Order, snap.Rank = order, rank
	return snap
}

// byName ranks rows by their second value; what is no number is the last.
func byName(values []string) float64 {
	n, err := strconv.ParseFloat(values[1], 64)
	if err != nil {
		return math.Inf(1)
	}
	return n
}

// scored yields recipients whose addresses and second values are the names.
func scored(names ...string) func() (store.Recipient, error) {
	return func() (store.Recipient, error) {
		if len(names) == 0 {
			return store.Recipient{}, io.EOF
		}
		name := names[0]
		names = names[1:]
		return store.Recipient{Identity: name, Address: name + "@example.com", Values: []string{name, name}}, nil
	}
}

func names(jobs []store.Job) (all []string) {
	for _, j := range jobs {
		all = append(all, j.Address[:len(j.Address)-len("@example.com")])
	}
	return all
}

func wantNames(t *testing.T, jobs []store.Job, want ...string) {
	t.Helper()
	if got := names(jobs); !slices.Equal(got, want) {
		t.Errorf("claimed %q, want %q", got, want)
	}
}

func load(t *testing.T, l *Lease, snap store.Snapshot, next func() (store.Recipient, error)) store.Loaded {
	t.Helper()
	done, err := l.Load(t.Context(), snap, false, next)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// Rows are claimed by rank, equal ones as in the list, also those that came later; what was deferred is due when it is due.
func TestOrder(t *testing.T) {
	s := open(t)
	l := acquire(t, s, "test")
	by := ordered("name", byName)
	if done := load(t, l, by, scored("30", "none", "10", "20", "20.0", "nil")); done.Unranked != 2 {
		t.Errorf("%+v", done)
	}
	first := claim(t, l, 2)
	wantNames(t, first, "10", "20")
	load(t, l, by, scored("25", "20", "5"))
	wantNames(t, claim(t, l, 2), "5", "20.0")
	record(t, l, nil, store.Outcome{Job: first[0], State: store.Queued}, // as if it had not been claimed
		store.Outcome{Job: first[1], State: store.Queued, Due: time.Now().Add(-time.Minute), Kind: store.Deferred})
	wantNames(t, claim(t, l, 2), "10", "25")
	wantNames(t, claim(t, l, 10), "30", "none", "nil", "20")
}

// Before the first message has left another order takes the place of the first one; then it takes a decision.
func TestOrderChanges(t *testing.T) {
	s := open(t)
	l := acquire(t, s, "test")
	load(t, l, snapshot, scored("3", "1", "2"))
	snap := ordered("name", byName)
	snap.Columns = []string{"town", "first name", "email"} // the values are where they are in the queue
	load(t, l, snap, slicesNext(nil))
	jobs := claim(t, l, 1)
	wantNames(t, jobs, "1")
	record(t, l, jobs)
	back := ordered("", nil)
	back.Source = []byte("name: test\nfrom: changed")
	if _, err := l.Load(t.Context(), back, false, slicesNext(nil)); err == nil {
		t.Error("the change was taken")
	}
	if _, err := l.Load(t.Context(), back, true, scored("0")); err != nil {
		t.Fatal(err)
	}
	wantNames(t, claim(t, l, 10), "3", "2", "0")
}

func TestPriority(t *testing.T) {
	s := open(t)
	l := acquire(t, s, "test")
	snap := snapshot
	for _, priority := range []int{5, -5} { // it is the last one that counts
		snap.Priority = priority
		load(t, l, snap, list(1))
		if c, err := s.Campaign(t.Context(), "test"); err != nil || c.Priority != priority {
			t.Errorf("priority %d, %v", c.Priority, err)
		}
	}
}
