package storetest

import (
	"context"
	"errors"
	"testing"

	"mailblast/store"
)

// A campaign is held until its lease is given up, or its process dies, and not longer. Who finds it held is told so, or
// shares it.
func testLease(t *testing.T, place func(testing.TB) Place) {
	held := func(p *process, campaign string, want bool) {
		t.Helper()
		if held, err := p.queue.Held(t.Context(), campaign); held != want || err != nil {
			t.Errorf("%q is held: %v, %v; want %v", campaign, held, err, want)
		}
	}
	p := loaded(t, place, 1)
	other := &process{t: t, place: p.place, queue: p.place.Open(t)}
	held(other, "test", true)
	held(other, "another", false)
	if l, err := other.queue.Acquire(t.Context(), "test"); err == nil {
		l.Release()
	} else if !errors.Is(err, store.ErrHeld) {
		t.Error(err)
	}
	other.holds("another")
	held(p, "another", true)
	if err := p.Release(); err != nil {
		t.Error(err)
	}
	held(other, "test", false)
	next := other.holds("test")
	held(p, "test", true)
	p.place.Die(t, next.Lease)
	held(p, "test", false)
	other.holds("test")
}

// Who has no time left is not told that somebody else holds the campaign.
func testLeaseTooLate(t *testing.T, place func(testing.TB) Place) {
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	l, err := place(t).Open(t).Acquire(ctx, "test")
	if errors.Is(err, store.ErrHeld) {
		t.Error(err)
	}
	if err == nil {
		l.Release()
	}
}
