package pace

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"mailblast/campaign/text"
	"mailblast/store"
)

// A Reserver takes messages off the limits that all processes share, as the store's Reserve and Return do for one server or for one domain
// over it. After an error nothing was taken, or returned.
type Reserver interface {
	Reserve(ctx context.Context, want int) (store.Grant, error)
	Return(ctx context.Context, u store.Unsent) error
}

// A Use is what became of a message that was taken from Grants, and so what of it is given back.
type Use int

const (
	Spent   Use = iota // the server took it, or may have: nothing
	Refused            // it was offered and not taken: it still counts for the limits on offers
	Untried            // it was not offered: all of it
)

// wantMost is how many messages are reserved at a time.
const wantMost = 4000

// Grants are messages that were reserved and are taken one by one. All goroutines may use them.
type Grants struct {
	from Reserver
	stay time.Duration // a quota that is new only after that is a NotBeforeError

	mu     sync.Mutex // guards what follows
	grant  store.Grant
	taken  int            // of the grant
	since  time.Time      // the grant was given
	unused []store.Unsent // to be returned
}

// NewGrants takes messages from a Reserver; nil: there are no limits, which is what nil Grants say, too.
func NewGrants(from Reserver, stay time.Duration) *Grants {
	if from == nil {
		return nil
	}
	return &Grants{from: from, stay: stay}
}

// errNotYet is that nothing was taken: ask again after the wait.
var errNotYet = errors.New("not yet")

// Try takes one message if it may be offered at once, and says when it counts. Otherwise it takes none, and says for how long to wait. want is
// how many could be sent soon.
func (g *Grants) Try(ctx context.Context, at time.Time, want int) (ok bool, counted time.Time, wait time.Duration, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	wait, err = g.take(ctx, at, 0, want)
	if errors.Is(err, errNotYet) {
		return false, counted, wait, nil
	}
	return err == nil, g.grant.Counted(), 0, err
}

// wait takes one message as soon as that is possible, unless it takes longer than most: then it is a DelayError.
func (g *Grants) wait(ctx context.Context, sleep Sleeper, most time.Duration, want int) (counted time.Time, err error) {
	for g != nil {
		g.mu.Lock()
		wait, err := g.take(ctx, time.Now(), most, want)
		counted = g.grant.Counted()
		g.mu.Unlock()
		switch {
		case err != nil && !errors.Is(err, errNotYet):
			return counted, err
		case err != nil && wait > most:
			return counted, DelayError(wait)
		}
		if err == nil && wait == 0 {
			return counted, nil // even where another goroutine has just been told that there is no more
		}
		if slept := sleep(wait, nil); slept != nil {
			if err == nil {
				g.Return(counted, Untried)
			}
			return counted, slept
		}
		if err == nil {
			return counted, nil
		}
	}
	return counted, nil
}

// take takes one message, which may be offered after the wait, unless that is longer than most: then it takes none. The caller holds mu.
func (g *Grants) take(ctx context.Context, at time.Time, most time.Duration, want int) (wait time.Duration, err error) {
	for {
		for ; g.taken < g.grant.N; g.taken++ {
			due := g.grant.From.Add(time.Duration(g.taken) * g.grant.Every)
			if at.After(due.Add(g.grant.Slack)) {
				g.keep(store.Unsent{N: 1, Counted: g.grant.Counted()})
				continue
			}
			if wait = max(due.Sub(at), 0); wait > most {
				return wait, errNotYet
			}
			g.taken++
			return wait, nil
		}
		if wait = g.grant.From.Sub(at); g.grant.N == 0 && wait > 0 && g.grant.Used.N == 0 {
			return wait, errNotYet
		}
		if err := g.reserve(ctx, at, want); err != nil {
			return 0, err
		}
		at = time.Now() // the grant is from a moment ago
		if g.grant.N > 0 {
			continue
		}
		wait = g.grant.From.Sub(at)
		if used := g.grant.Used; used.N > 0 && wait > g.stay {
			return 0, notFor(wait, fmt.Sprintf("the quota of %d messages in %s is used up", used.N, text.Period(used.Per)))
		}
		return wait, errNotYet
	}
}

// reserve gets the next grant. The caller holds mu.
func (g *Grants) reserve(ctx context.Context, at time.Time, want int) (err error) {
	if err := g.returnUnused(ctx); err != nil {
		return err
	}
	// Enough for half a second: one that did not last as long is followed by a larger one.
	want = max(want, 1)
	if last := g.grant.N; last > 0 && at.Sub(g.since) < 250*time.Millisecond {
		want = max(want, 2*last)
	}
	g.since, g.taken = at, 0
	g.grant, err = g.from.Reserve(ctx, min(want, wantMost))
	if err != nil {
		g.grant = store.Grant{}
	}
	return err
}

// Return gives back what was not used of a message that was taken. It is written with the next reservation, or at the end.
func (g *Grants) Return(counted time.Time, use Use) {
	if g == nil || use == Spent {
		return
	}
	u := store.Unsent{N: 1, Counted: counted}
	if use == Refused {
		u.Offered = 1
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.keep(u)
}

// keep keeps what is to be returned, together where it was counted together. The caller holds mu.
func (g *Grants) keep(u store.Unsent) {
	for i := range g.unused {
		if same := &g.unused[i]; same.Counted.Equal(u.Counted) {
			same.N += u.N
			same.Offered += u.Offered
			return
		}
	}
	g.unused = append(g.unused, u)
}

// returnUnused returns what was not used. The caller holds mu.
func (g *Grants) returnUnused(ctx context.Context) error {
	for len(g.unused) > 0 {
		if err := g.from.Return(ctx, g.unused[0]); err != nil {
			return err
		}
		g.unused = g.unused[1:]
	}
	return nil
}

// End returns what was reserved and not used.
func (g *Grants) End(ctx context.Context) error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := g.grant.N - g.taken; n > 0 {
		g.keep(store.Unsent{N: n, Counted: g.grant.Counted()})
		g.taken = g.grant.N
	}
	return g.returnUnused(ctx)
}
