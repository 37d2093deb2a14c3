package sender

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailblast/sender/pace"
	"mailblast/store"
)

// What the server says to each of a recipient's messages, by a letter.
var answersBy = map[rune]func(n int) string{
	'o': func(int) string { return "dot 250 ok" },
	'd': func(n int) string {
		return fmt.Sprintf("rcpt 550 5.1.1 <u%d@example.com>: no such user, session %d", n, n)
	},
	'D': func(int) string { return "wait rcpt 550 5.1.1 no such user, session" }, // a second late: after an 'o' on another connection
	'x': func(n int) string { return "rcpt 550 5.1.1 no such user " + strings.Repeat("here", n+1) },
	'e': func(int) string { return "dot 550 5.1.1 no such user" },
}

// suppressed are the addresses on the suppression list.
func (q *queue) suppressed(t testing.TB) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	if err := q.second.Suppressions(context.Background(), func(e store.Suppression) error {
		all[e.Address] = true
		return nil
	}); err != nil {
		t.Error(err)
	}
	return all
}

// Who is called dead is failed, and goes on the suppression list if the server is believed. One that calls everybody dead is not, and loses
// nobody.
func TestBelief(t *testing.T) {
	many := func(s string, n int) string { return strings.Repeat(s, n) }
	for _, c := range []struct {
		name   string
		list   string // a letter for each recipient
		listed bool   // those who were called dead and are failed
		queued int
		stops  bool
	}{
		{"one of several", "odoo", true, 0, false},
		{"the first ones", "ddddo", true, 0, false},
		{"the last ones", "odddd", true, 0, false},
		{"only one, and nobody else", "d", false, 0, false},
		{"a short list of nobody else", "ddddd", false, 0, false},
		{"a long list of nobody else", many("d", 30), false, 30, true},
		{"just not a long one", many("d", deadInSameWords-1), false, 0, false},
		{"six of ten", many("dodddoodod", 10), true, 0, false},
		{"a few more at the end", "oDD" + many("d", deadAtEnd-2), false, 0, false},
		{"the dead stand together at the end", "oDD" + many("d", 2*deadInSameWords+13), false, 2*deadInSameWords + 15, true},
		{"the dead stand together in the middle", "oDD" + many("d", 2*deadInSameWords+13) + "oo", false, 2*deadInSameWords + 17, true},
		{"just as many as are not believed at the end", "oDD" + many("d", deadInSameWords-2), false, deadInSameWords, true},
		{"said of the message", "oDD" + many("e", 30), false, 32, true},
		{"another text for each", many("x", 30), false, 0, false},
		{"another text for each, and very many", many("x", deadInAnyWords+10), false, deadInAnyWords + 10, true},
	} {
		for _, s := range []struct{ connections, pipeline int }{{1, 1}, {1, 4}, {3, 1}} {
			t.Run(fmt.Sprintf("%s, %d connections, %d at a time", c.name, s.connections, s.pipeline), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := newQueue(t, len(c.list), "process")
					server := newServer(t, nil, map[string][]string{})
					want := map[string]store.State{}
					for n, letter := range c.list {
						server.scripts[address(n)] = []string{answersBy[letter](n)}
					}
					if s.pipeline > 1 {
						server.depth = s.pipeline
					}
					o := options(s.connections)
					err := run(q, server, o)
					var stopped *StopError
					if c.stops != errors.As(err, &stopped) || !c.stops && err != nil {
						t.Errorf("error %v, want a stop: %v", err, c.stops)
					}
					rows, listed := q.rows(t), q.suppressed(t)
					queued := 0
					for a, row := range rows {
						want[a] = row.State
						if row.State == store.Queued {
							queued++
						}
						if on := c.listed && row.State == store.Failed; listed[a] != on {
							t.Errorf("%s is %s and on the list: %v, want %v", a, row.State, listed[a], on)
						}
					}
					if queued != c.queued {
						t.Errorf("%d are queued, want %d", queued, c.queued)
					}
					server.verify(q, len(c.list), want)
					if counts, _, err := q.Pending(context.Background()); err != nil || counts.Queued != int64(c.queued) || counts.Total() != int64(len(c.list)) {
						t.Errorf("the tally has %+v, %v", counts, err)
					}
				})
			})
		}
	}
}

// A message that was offered before others were called dead, and is taken after that, says nothing of them: its recipient was looked up
// before the directory went down.
func TestBeliefBehindAMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const recipients = 1 + deadAtEnd
		q := newQueue(t, recipients, "process")
		s := newServer(t, nil, map[string][]string{address(0): {"wait dot 250 ok"}})
		want := map[string]store.State{}
		for n := 1; n < recipients; n++ {
			s.scripts[address(n)] = []string{"wait rcpt 550 5.1.1 no such user"}
			want[address(n)] = store.Failed
		}
		if err := run(q, s, options(recipients)); err != nil {
			t.Fatal(err)
		}
		s.verify(q, recipients, want)
		if listed := q.suppressed(t); len(listed) > 0 {
			t.Errorf("%d are on the suppression list", len(listed))
		}
	})
}

// A server that calls everybody dead is left out, and the others send to all whom it refused.
func TestBeliefInOneServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const recipients = 200
		q := newQueue(t, recipients, "process")
		good, bad := newServer(t, nil, nil), newServer(t, nil, map[string][]string{})
		for n := range recipients {
			bad.scripts[address(n)] = []string{answersBy['d'](n)}
		}
		servers := several(2, good, bad)
		for i := range servers {
			servers[i].Limits = spreadOut(store.Rate{N: 100, Per: time.Second})
		}
		o := options(0)
		o.Stats = &Stats{}
		if err := Run(context.Background(), context.Background(), q, servers, o.Options); err != nil {
			t.Error(err)
		}
		once(t, q, recipients, servers)
		if out := o.Stats.Routes[1].Out; out == nil || !strings.Contains(out.Reason, "not believed") {
			t.Errorf("left out: %v", out)
		}
		if listed := q.suppressed(t); len(listed) > 0 {
			t.Errorf("%d are on the suppression list", len(listed))
		}
		if n := o.Stats.Failed.Load(); n != 0 {
			t.Errorf("%d are counted as failed", n)
		}
	})
}

// Runs over a server that calls everybody dead come to an end by themselves, without a loop: each uses up attempts.
func TestBeliefEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const recipients = 50
		q := newQueue(t, recipients, "process")
		s := newServer(t, nil, map[string][]string{})
		for n := range recipients {
			s.scripts[address(n)] = []string{answersBy['d'](n)}
		}
		o := options(1)
		o.Wait, o.Attempts = o.BackoffMax, 2
		runs := 0
		for ; len(q.rows(t, store.Failed)) < recipients && runs < 20; runs++ {
			var stopped *StopError
			if err := run(q, s, o); err != nil && !errors.As(err, &stopped) {
				t.Fatal(err)
			}
			pace.Sleep(context.Background(), o.withDefaults().BackoffMax, nil)
		}
		if runs > 6 {
			t.Errorf("it took %d runs", runs)
		}
		for a, n := range s.tries {
			if n > 2 {
				t.Errorf("%s was tried %d times", a, n)
			}
		}
		if listed := q.suppressed(t); len(listed) > 0 {
			t.Errorf("%d are on the suppression list", len(listed))
		}
	})
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		a, b string // replies to ada@example.com and bob@example.org
		same bool
	}{
		{"<ada@example.com>: user unknown", "<bob@example.org>: user unknown", true},
		{"User ada unknown at example.com", "User bob unknown at example.org", true},
		{"No such user (ada@example.com) q7si812.4 - gsmtp", "No such user (bob@example.org) k2si90.12 - gsmtp", true},
		{"no such user", "No such USER", true},
		{"no such user", "mailbox disabled", false},
	} {
		if a, b := wordsOf("ada@example.com", 550, c.a), wordsOf("bob@example.org", 550, c.b); (a == b) != c.same {
			t.Errorf("%q and %q: the same %v, want %v", a, b, a == b, c.same)
		}
	}
}
