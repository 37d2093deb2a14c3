package sender

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"mailblast/store"
)

// A setup is a run's options, and its only route.
type setup struct {
	Options
	Route
}

// options are a small run's.
func options(connections int) setup {
	return setup{Options{Batch: 5, Compose: compose}, Route{Name: "fake:25", Connections: connections}}
}

func (o setup) run(work, claim context.Context, q Queue, t Transport) error {
	o.Transport = t
	return Run(work, claim, q, []Route{o.Route}, o.Options)
}

// run is Run with nobody to stop it.
func run(q Queue, t Transport, o setup) error {
	return o.run(context.Background(), context.Background(), q, t)
}

// What becomes of a recipient by what happens to the first try of its message, whether that is the first on its session or
// goes with the end of the one before it. The others get theirs.
func TestOutcome(t *testing.T) {
	for _, c := range []struct {
		script   string
		state    store.State
		attempts int // as the row shows them
		tries    int // two: the first one was not counted
	}{
		{"dot 250 2.0.0 queued", store.Sent, 1, 1},
		{"dot 252 taken", store.Sent, 1, 1},
		{"mail 552 5.3.4 too big", store.Failed, 1, 1},
		{"mail 451 4.3.0 not now", store.Sent, 1, 2},
		{"mail 421 4.3.2 closing", store.Sent, 1, 2},
		{"mail 454 4.7.0 Throttling failure: faster than the account may send.", store.Sent, 1, 2},
		{"rcpt 250 confused", store.Queued, 1, 1}, // not taken for a message that was sent
		{"rcpt 550 5.1.1 no such user", store.Failed, 1, 1},
		{"rcpt 451 4.3.0 not now", store.Queued, 1, 1},
		{"rcpt 421 4.3.2 closing", store.Queued, 1, 1},
		{"rcpt 454 4.7.0 Throttling failure: faster than the account may send.", store.Sent, 1, 2},
		{"rcpt 554 5.7.1 Relay access denied", store.Queued, 1, 1}, // one of them does not stop the run
		{"data 554 5.6.0 no", store.Failed, 1, 1},
		{"data 451 4.3.0 not now", store.Queued, 1, 1},
		{"data 421 4.3.2 closing", store.Queued, 1, 1},
		{"dot 554 5.7.1 spam", store.Failed, 1, 1},
		{"dot 451 4.3.0 not now", store.Queued, 1, 1},
		{"dot 421 4.3.2 closing", store.Queued, 1, 1},
		{"dot 454 4.7.0 Throttling failure: faster than the account may send.", store.Sent, 1, 2},
		{"lost mail", store.Sent, 1, 2},
		{"lost rcpt", store.Queued, 1, 1},
		{"lost data", store.Queued, 1, 1},
		{"lost content", store.Queued, 1, 1},
		{"lost end", store.InDoubt, 1, 1},
		{"lost dot", store.InDoubt, 1, 1},
		{"late mail", store.Sent, 1, 2},
		{"late rcpt", store.Queued, 1, 1},
		{"late content", store.Queued, 1, 1},
		{"late end", store.InDoubt, 1, 1},
		{"late dot", store.InDoubt, 1, 1},
	} {
		for victim := range 3 {
			t.Run(fmt.Sprint(c.script, ", message ", victim), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := newQueue(t, 4, "process")
					a := address(victim)
					s := newServer(t, q, map[string][]string{a: {c.script, "dot 250 ok"}})
					o := options(1)
					o.Wait = 2 * time.Second // less than the back-off
					if err := run(q, s, o); err != nil {
						t.Fatal(err)
					}
					if n := q.rows(t)[a].Attempts; n != c.attempts || s.tries[a] != c.tries {
						t.Errorf("attempts %d, tries %d; want %d, %d", n, s.tries[a], c.attempts, c.tries)
					}
					s.verify(q, 4, map[string]store.State{a: c.state})
				})
			})
		}
	}
}

// The same where the server takes whole messages, several under way at a time. With a connection those are in doubt that were
// under way on it.
func TestStream(t *testing.T) {
	for _, c := range []struct {
		script string
		state  store.State
		tries  int
		doubt  bool // of others as well
	}{
		{"dot 250 2.0.0 queued", store.Sent, 1, false},
		{"mail 552 5.3.4 too big", store.Failed, 1, false},
		{"mail 451 4.3.0 not now", store.Sent, 2, false},
		{"rcpt 550 5.1.1 no such user", store.Failed, 1, false},
		{"rcpt 451 4.3.0 not now", store.Queued, 1, false},
		{"dot 554 5.7.1 spam", store.Failed, 1, false},
		{"dot 451 4.3.0 not now", store.Queued, 1, false},
		{"dot 421 4.3.2 closing", store.Queued, 1, true},
		{"dot 454 4.7.0 Throttling failure: faster than the account may send.", store.Sent, 2, false},
		{"mail 451 4.7.0 Too many connections", store.Sent, 2, false},
		{"dot 451 4.7.0 Too many messages in this session", store.Sent, 2, false},
		{"lost content", store.Queued, 1, false},
		{"lost mail", store.InDoubt, 1, true},
		{"lost dot", store.InDoubt, 1, true},
		{"lost end", store.InDoubt, 1, true},
	} {
		for victim := range 12 {
			t.Run(fmt.Sprint(c.script, ", message ", victim), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					const recipients, depth = 12, 4
					q := newQueue(t, recipients, "process")
					a := address(victim)
					s := newServer(t, q, map[string][]string{a: {c.script, "dot 250 ok"}})
					s.depth = depth
					o := options(1)
					o.Wait = 2 * time.Second
					if err := run(q, s, o); err != nil {
						t.Fatal(err)
					}
					want := map[string]store.State{}
					for other, row := range q.rows(t, store.InDoubt) {
						if !c.doubt {
							t.Errorf("%s is in doubt", row.Email)
						}
						want[other] = store.InDoubt
					}
					if len(want) > depth {
						t.Errorf("%d are in doubt, after one connection of %d messages", len(want), depth)
					}
					want[a] = c.state
					if s.tries[a] != c.tries {
						t.Errorf("%d tries, want %d", s.tries[a], c.tries)
					}
					s.verify(q, recipients, want)
				})
			})
		}
	}
}
