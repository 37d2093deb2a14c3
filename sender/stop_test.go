package sender

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailblast/campaign/mail"
	"mailblast/sender/reply"
	"mailblast/store"
)

// A run that is stopped in the middle gives everything back, and the next one sends the rest, once.
func TestStopAndGoOn(t *testing.T) {
	for _, after := range []int{0, 1, 2, 7, 29, 30} {
		t.Run(fmt.Sprint("after ", after), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, 30, "process")
				s := newServer(t, q, nil)
				claim, stop := context.WithCancelCause(context.Background())
				o := options(3)
				composed := 0
				interrupted := errors.New("interrupted")
				o.Connections = 1
				o.Compose = func() Compose {
					make := compose()
					return func(j store.Job) (mail.Message, error) {
						if composed++; composed > after {
							stop(interrupted)
						}
						return make(j)
					}
				}
				if after == 0 {
					stop(interrupted)
				}
				err := o.run(context.Background(), claim, q, s)
				var stopped *StopError
				if after < 30 && (!errors.As(err, &stopped) || !errors.Is(err, interrupted)) {
					t.Errorf("error %v", err)
				}
				if rows := q.rows(t, store.Claimed, store.Sending); len(rows) > 0 {
					t.Errorf("%d rows are still held", len(rows))
				}
				if n := len(q.rows(t, store.Sent)); n < after || n > after+1 {
					t.Errorf("%d were sent, want those begun before the stop: %d", n, after)
				}
				for a, row := range q.rows(t, store.Queued) {
					if row.Attempts != 0 {
						t.Errorf("%s: an attempt was counted that was not made", a)
					}
				}
				if err := run(q, s, options(3)); err != nil {
					t.Fatal(err)
				}
				s.verify(q, 30, nil)
			})
		})
	}
}

// When work ends, sessions that hang are cut, and the rows say what is known.
func TestCut(t *testing.T) {
	for _, c := range []struct {
		hang    string
		state   store.State // of those that hung
		stopped bool        // in peace, before
	}{
		{"mail", store.Queued, true}, {"rcpt", store.Queued, true}, {"data", store.Queued, true}, {"content", store.Queued, true},
		{"end", store.InDoubt, true}, {"dot", store.InDoubt, true}, {"rcpt", store.Queued, false}, {"dot", store.InDoubt, false},
	} {
		for _, victim := range []int{0, 4} { // the first message of the session, and one that goes with the end of another
			t.Run(fmt.Sprint(c.hang, " ", c.stopped, ", message ", victim), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := newQueue(t, 12, "process")
					a := address(victim)
					s := newServer(t, q, map[string][]string{a: {"hang " + c.hang}})
					work, cut := context.WithCancelCause(context.Background())
					claim, stop := context.WithCancel(context.Background())
					defer stop()
					start := time.Now()
					if c.stopped {
						time.AfterFunc(5*time.Second, stop)
					}
					time.AfterFunc(35*time.Second, func() { cut(errors.New("cut off")) })
					var stopped *StopError
					if err := options(1).run(work, claim, q, s); !errors.As(err, &stopped) {
						t.Errorf("error %v", err)
					}
					if d := time.Since(start); d != 35*time.Second {
						t.Errorf("the run ended after %v", d)
					}
					want := map[string]store.State{a: c.state}
					for n := victim + 1; n < 12; n++ {
						want[address(n)] = store.Queued
					}
					s.verify(q, 12, want)
				})
			})
		}
	}
}

// unreachable is what a dial fails with that nobody answers.
var unreachable = reply.Broken(reply.Connect, errors.New("connection refused"))

// Servers that cannot be reached, or only by a person's help.
func TestUnusable(t *testing.T) {
	refused, login, busy := unreachable, refusedDial(reply.Auth, 535, "5.7.8 bad credentials"), refusedDial(reply.Connect, 554, "Too many connections from your IP")
	for _, c := range []struct {
		name        string
		connections int
		dials       []error
		most        int // dials
		stops       bool
		after       time.Duration // at most
	}{
		{"nobody answers", 1, []error{refused}, 5, true, 12 * time.Second},
		{"nobody answers any worker", 4, []error{refused}, 20, true, 12 * time.Second},
		{"the log-in is refused", 1, []error{login}, 1, true, 0},
		{"the log-in is refused to all", 4, []error{login}, 4, true, 0},
		{"too many connections already", 1, []error{busy}, 5, true, 12 * time.Second},
		{"a moment of weakness", 1, []error{refused, refused, refused, nil}, 4, false, 5 * time.Second},
		{"only one connection is allowed", 3, []error{nil, busy}, 3, false, 0},
		{"the other connections fail", 3, []error{nil, refused}, 3, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, 40, "process")
				s := newServer(t, nil, nil)
				s.dials = c.dials
				start := time.Now()
				err := run(q, s, options(c.connections))
				var stopped *StopError
				if c.stops != errors.As(err, &stopped) || !c.stops && err != nil {
					t.Fatalf("error %v, want a stop: %v", err, c.stops)
				}
				if s.dialled > c.most || time.Since(start) > c.after {
					t.Errorf("%d dials in %v, want at most %d in %v", s.dialled, time.Since(start), c.most, c.after)
				}
				want := map[string]store.State{}
				if c.stops {
					for n := range 40 {
						want[address(n)] = store.Queued
					}
				}
				for a, row := range q.rows(t, store.Queued) {
					if row.Attempts > 0 {
						t.Errorf("%s: the attempt counts", a)
					}
				}
				s.verify(q, 40, want)
			})
		})
	}
}

// One connection is enough to carry on, however slow it is.
func TestOthersCarryOn(t *testing.T) {
	refused := []error{nil, unreachable}
	t.Run("slow by the rate", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(t, 20, "process")
			s := newServer(t, q, nil)
			// Every third dial works. The rate is so slow that between messages no session is open.
			s.dialing = func() {
				s.dials = refused[1:]
				if s.dialled%3 == 0 {
					s.dials = refused[:1]
				}
			}
			o := options(2)
			o.Limits = limited(q, store.Rate{N: 1, Per: 20 * time.Second})
			if err := run(q, s, o); err != nil {
				t.Fatal(err)
			}
			s.verify(q, 20, nil)
		})
	})
	for _, c := range []struct {
		name  string
		dials []error
		other string // what happens to the message that does not hang
	}{
		{"slow by the server, no further connection", refused, "hang dot"},
		{"slow by the server, further connections break", nil, "lost mail"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, 2, "process")
				s := newServer(t, q, map[string][]string{address(0): {"hang dot"}, address(1): {c.other}})
				s.dials = c.dials
				work, cut := context.WithCancelCause(context.Background())
				cutOff := errors.New("cut off")
				time.AfterFunc(5*time.Minute, func() { cut(cutOff) })
				o := options(2)
				o.MessagesPerConnection = 1 // so that neither message goes with the other one
				if err := o.run(work, work, q, s); !errors.Is(err, cutOff) {
					t.Errorf("error %v, want none before the cut", err)
				}
			})
		})
	}
	t.Run("closed politely now and then", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(t, 12, "process")
			closing := []string{"mail 421 4.3.2 closing", "dot 250 ok"}
			s := newServer(t, q, map[string][]string{address(2): closing, address(5): closing, address(8): closing})
			o := options(1)
			o.Wait = time.Minute
			start := time.Now()
			if err := run(q, s, o); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(start); d > 1300*time.Millisecond { // those three come back after a second
				t.Errorf("it took %v: the server was taken for a failing one", d)
			}
			s.verify(q, 12, nil)
		})
	})
	t.Run("refused now and then", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(t, 40, "process")
			scripts, want := map[string][]string{}, map[string]store.State{}
			for n := range 40 {
				if n%8 != 7 {
					scripts[address(n)], want[address(n)] = []string{"rcpt 554 5.7.1 Relay access denied"}, store.Queued
				}
			}
			s := newServer(t, q, scripts)
			if err := run(q, s, options(1)); err != nil {
				t.Fatal(err)
			}
			s.verify(q, 40, want)
		})
	})
}

// Refusals that have nothing to do with the recipients stop the run before the list is used up.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		script string
		utf8   bool
		tries  int
		state  store.State // of those tried
		stops  bool
	}{
		{"mail 530 5.7.0 Authentication required", false, 1, store.Queued, true},
		{"rcpt 554 5.7.1 Relay access denied", false, refusalsMost, store.Queued, true},
		{"dot 554 5.7.1 You are not allowed to send as this sender, sender address not verified", false, refusalsMost, store.Queued, true},
		{"mail 550 5.1.8 Sender address rejected: Domain not found", false, refusalsMost, store.Failed, true},
		{"mail 553 5.6.7 SMTPUTF8 is not offered", true, 30, store.Failed, false},
		{"mail 553 5.6.7 SMTPUTF8 is not offered, and the sender needs it", true, refusalsMost, store.Failed, true},
		{"rcpt 550 5.1.1 no such user", false, deadInSameWords, store.Queued, true},
	} {
		t.Run(c.script, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, 30, "process")
				scripts, want := map[string][]string{}, map[string]store.State{}
				for n := range 30 {
					scripts[address(n)] = []string{c.script}
				}
				s := newServer(t, q, scripts)
				o := options(1)
				o.Compose = func() Compose {
					make := compose()
					return func(j store.Job) (mail.Message, error) {
						m, err := make(j)
						m.UTF8 = c.utf8
						if strings.Contains(c.script, "sender needs it") {
							m.From = "jürgen@example.com"
						}
						return m, err
					}
				}
				err := run(q, s, o)
				var stopped *StopError
				if c.stops != errors.As(err, &stopped) || !c.stops && err != nil {
					t.Errorf("error %v, want a stop: %v", err, c.stops)
				}
				for n := range 30 {
					if want[address(n)] = store.Queued; s.tries[address(n)] > 0 {
						want[address(n)] = c.state
					}
				}
				// One more may have been under way with the message whose refusal was the last.
				if len(s.tries) < c.tries || len(s.tries) > c.tries+1 {
					t.Errorf("%d recipients were tried, want %d", len(s.tries), c.tries)
				}
				s.verify(q, 30, want)
			})
		})
	}
}

// A server that fails once and then refuses recipient after recipient is there: nobody waits for it.
func TestFailureIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, deadInSameWords, "process")
		scripts, want := map[string][]string{}, map[string]store.State{}
		for n := range deadInSameWords {
			scripts[address(n)] = []string{"rcpt 550 5.1.1 no such user"}
			want[address(n)] = store.Failed
		}
		scripts[address(3)] = []string{"lost rcpt"}
		want[address(3)] = store.Queued
		s := newServer(t, q, scripts)
		start := time.Now()
		if err := run(q, s, options(1)); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("it took %v", d)
		}
		s.verify(q, deadInSameWords, want)
	})
}
