package sender

import (
	"context"
	"sync"
	"time"

	"mailblast/store"
)

// Turns keep the routes' parts of the messages in proportion to their weights, as long as the servers can take their parts: a route that is ahead
// waits for those that are behind, but not for one that is left out, waits for its limits, has trouble, or has taken nothing for a
// second. What such a route does not take goes to the others, and is not made up for later.
type turns struct {
	mu      sync.Mutex
	changed chan struct{} // closed when somebody may have got a turn
}

// A turn is a lane's part.
type turn struct {
	taken   float64   // messages, divided by the weight
	last    time.Time // when one was taken; zero: never, or there was trouble since
	idle    int       // workers that have nothing to do
	limited int       // workers that wait for the limits
	absent  bool      // it could not take its part lately
}

const (
	// turnsAhead is by how many messages a route may be ahead, so that connections need not wait for each other at every message.
	turnsAhead = 4

	// turnPatience is for how long others wait for a route that takes nothing.
	turnPatience = time.Second
)

// takesPart reports whether the lane takes its part of the messages. The caller holds turns.mu.
func (l *lane) takesPart(now time.Time) bool {
	t := &l.turn
	if _, out := l.out(); out || t.limited > 0 {
		return false
	}
	return t.idle > 0 || now.Sub(t.last) < turnPatience
}

// takeTurn takes a turn, if it is the lane's.
func (l *lane) takeTurn(now time.Time) bool {
	if l.route.Weight == 0 || !l.engine.severalRoutes() {
		return true
	}
	l.engine.turns.mu.Lock()
	defer l.engine.turns.mu.Unlock()
	part := 1 / float64(l.route.Weight)
	least, others := 0.0, false
	for _, other := range l.engine.lanes {
		if other == l {
			continue
		}
		if !other.takesPart(now) {
			other.turn.absent = true
		} else if !other.turn.absent && (!others || other.turn.taken < least) {
			least, others = other.turn.taken, true
		}
	}
	if others && l.turn.absent {
		l.turn.taken = max(l.turn.taken, least)
	}
	if others && l.turn.taken+part > least+turnsAhead*part {
		return false
	}
	l.turn.absent, l.turn.last = false, now
	l.turn.taken += part
	close(l.engine.turns.changed)
	l.engine.turns.changed = make(chan struct{})
	return true
}

// returnTurn gives back a turn for which there was no job, or no permit.
func (l *lane) returnTurn() {
	if l.route.Weight == 0 {
		return
	}
	l.engine.turns.mu.Lock()
	defer l.engine.turns.mu.Unlock()
	l.turn.taken -= 1 / float64(l.route.Weight)
}

// noteTrouble notes that the server cannot be relied upon, so that the others do not wait for it.
func (l *lane) noteTrouble() {
	if l.route.Weight == 0 {
		return
	}
	l.engine.turns.mu.Lock()
	defer l.engine.turns.mu.Unlock()
	l.turn.last = time.Time{}
}

// countWorker counts a worker in or out of one of the states of the lane's turn.
func (l *lane) countWorker(n *int, by int) {
	if l.route.Weight == 0 {
		return
	}
	l.engine.turns.mu.Lock()
	defer l.engine.turns.mu.Unlock()
	*n += by
}

// awaitTurn waits for the lane's turn and takes it, or for a job that is pinned to the lane's server: that needs no turn, as no other lane may take it.
func (l *lane) awaitTurn(ctx context.Context) (j store.Job, pinned, ok bool) {
	for {
		l.engine.turns.mu.Lock()
		changed := l.engine.turns.changed
		l.engine.turns.mu.Unlock()
		if l.takeTurn(time.Now()) {
			return j, false, true
		}
		select {
		case j = <-l.pinned:
			return j, true, true
		case <-changed:
		case <-time.After(turnPatience / 10): // others may have come to a standstill
		case <-ctx.Done():
			return j, false, false
		}
	}
}
