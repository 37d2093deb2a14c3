package sender

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"mailblast/campaign/mail"
	"mailblast/store"
)

// Everything at once, on several connections, with real durability.
func TestManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const recipients = 120
		q := newQueue(t, recipients, "strict")
		outcomes := []struct {
			script string
			state  store.State
		}{
			{"dot 250 ok", store.Sent}, {"rcpt 550 5.1.1 no such user", store.Failed}, {"dot 250 ok", store.Sent}, {"lost dot", store.InDoubt}, {"lost content", store.Sent},
			{"rcpt 451 not now", store.Sent}, {"dot 250 ok", store.Sent}, {"lost mail", store.Sent}, {"mail 421 closing", store.Sent}, {"dot 421 closing", store.Sent}, {"lost end", store.InDoubt},
			{"dot 454 Throttling failure: faster than the account may send.", store.Sent}, {"dot 250 ok", store.Sent},
		}
		scripts, want := map[string][]string{}, map[string]store.State{}
		for n := range recipients {
			o := outcomes[n%len(outcomes)]
			scripts[address(n)] = []string{o.script, "dot 250 ok"}
			want[address(n)] = o.state
		}
		s := newServer(t, q, scripts)
		o := options(8)
		o.Wait, o.Stats = time.Hour, &Stats{}
		if err := run(q, s, o); err != nil {
			t.Fatal(err)
		}
		s.verify(q, recipients, want)
		for what, pair := range map[string][2]int64{
			"sent": {o.Stats.Sent.Load(), int64(len(q.rows(t, store.Sent)))}, "failed": {o.Stats.Failed.Load(), int64(len(q.rows(t, store.Failed)))},
			"in doubt": {o.Stats.InDoubt.Load(), int64(len(q.rows(t, store.InDoubt)))}, "connections": {o.Stats.Connections.Load(), 0},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s: counted %d, want %d", what, pair[0], pair[1])
			}
		}
		if s.open != 0 {
			t.Errorf("%d sessions are still open", s.open)
		}
	})
}

// A message that cannot be composed is its recipient's end, and nobody else's.
func TestComposeFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 12, "process")
		s := newServer(t, q, nil)
		want := map[string]store.State{address(0): store.Failed, address(5): store.Failed, address(6): store.Failed, address(11): store.Failed}
		o := options(1)
		o.Compose = func() Compose {
			make := compose()
			return func(j store.Job) (mail.Message, error) {
				if want[j.Address] == store.Failed {
					return mail.Message{}, errors.New("no such field")
				}
				return make(j)
			}
		}
		if err := run(q, s, o); err != nil {
			t.Fatal(err)
		}
		s.verify(q, 12, want)
		if got := q.rows(t)[address(5)].Reply; got != "not sent: no such field" {
			t.Errorf("the row says %q", got)
		}
	})
}

// Deferred recipients come back in the same run when they fall due within Wait, after the back-off of their attempt.
func TestRetry(t *testing.T) {
	const later, throttle = "rcpt 451 4.3.0 not now", "rcpt 454 4.7.0 Throttling failure: faster than the account may send."
	for _, c := range []struct {
		name     string
		script   []string
		wait     time.Duration
		state    store.State
		attempts int
		tries    int
		gaps     []time.Duration // between the tries, give or take a fifth
	}{
		{"due within wait", []string{later, "dot 250 ok"}, 90 * time.Second, store.Sent, 2, 2, []time.Duration{time.Minute}},
		{"due later", []string{later, "dot 250 ok"}, 40 * time.Second, store.Queued, 1, 1, nil},
		{"doubled", []string{later, later, later, "dot 250 ok"}, time.Hour, store.Sent, 4, 4, []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute}},
		{"up to the longest", []string{later}, 24 * time.Hour, store.Failed, 5, 5, []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 5 * time.Minute}},
		{"a lost connection counts", []string{"lost content"}, 24 * time.Hour, store.Failed, 5, 5, nil},
		{"throttled for long", []string{throttle, throttle, throttle, throttle, throttle, throttle, throttle, "dot 250 ok"}, time.Hour, store.Sent, 1, 8,
			[]time.Duration{100 * time.Millisecond, 125 * time.Millisecond, 156 * time.Millisecond, 195 * time.Millisecond, 244 * time.Millisecond, 305 * time.Millisecond, 381 * time.Millisecond}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, 1, "process")
				s := newServer(t, q, map[string][]string{address(0): c.script})
				o := options(2)
				o.Wait, o.BackoffMin, o.BackoffMax = c.wait, time.Minute, 5*time.Minute
				if err := run(q, s, o); err != nil {
					t.Fatal(err)
				}
				if row := q.rows(t)[address(0)]; row.Attempts != c.attempts || s.tries[address(0)] != c.tries {
					t.Errorf("attempts %d, tries %d; want %d, %d", row.Attempts, s.tries[address(0)], c.attempts, c.tries)
				}
				for i, want := range c.gaps {
					// The clock of the queue ticks in milliseconds.
					if gap := s.at[i+1].Sub(s.at[i]); gap < want*4/5-2*time.Millisecond || gap > want*6/5+2*time.Millisecond {
						t.Errorf("try %d came after %v, want %v", i+2, gap, want)
					}
				}
				s.verify(q, 1, map[string]store.State{address(0): c.state})
			})
		})
	}
}

// When one message is throttled, all connections pause.
func TestThrottlePausesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 60, "process")
		s := newServer(t, nil, map[string][]string{address(10): {"dot 454 4.7.0 Throttling failure: faster than the account may send.", "dot 250 ok"}})
		o := options(4)
		o.Limits = limited(q, store.Rate{N: 10, Per: time.Second}) // several workers wait for their turn when it happens
		o.Wait = time.Hour
		start := time.Now()
		if err := run(q, s, o); err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(s.at, time.Time.Compare)
		var longest time.Duration
		for i := range s.at[1:] {
			longest = max(longest, s.at[i+1].Sub(s.at[i]))
		}
		if longest < 200*time.Millisecond {
			t.Errorf("the longest pause was %v, want more than the distance of two messages", longest)
		}
		within(t, s.at, store.Rate{N: 10, Per: time.Second})
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("it took %v", d)
		}
		s.verify(q, 60, nil)
	})
}

// A server that lets so many messages through in a while is not left alone for ever longer.
func TestPausesFindTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 200, "process")
		throttled := []string{"rcpt 454 4.7.0 Throttling failure: faster than the account may send.", "dot 250 ok"}
		scripts := map[string][]string{}
		for n := 10; n < 200; n += 10 {
			scripts[address(n)] = throttled
		}
		s := newServer(t, nil, scripts)
		o := options(4)
		o.Wait = time.Hour
		start := time.Now()
		if err := run(q, s, o); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d > 40*time.Second {
			t.Errorf("200 messages, of which every tenth was throttled, took %v", d)
		}
		s.verify(q, 200, nil)
	})
}

// within asserts that no window of r.Per has more than r.N of the times.
func within(t *testing.T, at []time.Time, r store.Rate) {
	t.Helper()
	for i := range at {
		n := 0
		for _, later := range at[i:] {
			if later.Sub(at[i]) < r.Per-time.Millisecond { // a limiter rounds down to nanoseconds
				n++
			}
		}
		if n > r.N {
			t.Errorf("%d messages within %v of %v, want at most %d", n, r.Per, at[i].Sub(at[0]), r.N)
			return
		}
	}
}

// All rates hold for all connections together, and are made use of.
func TestRates(t *testing.T) {
	for _, c := range []struct {
		rates       []store.Rate
		connections int
		messages    int
		least, most time.Duration
	}{
		{[]store.Rate{{N: 14, Per: time.Second}}, 5, 57, 4 * time.Second, 4100 * time.Millisecond},
		{[]store.Rate{{N: 3, Per: time.Second}}, 5, 31, 10 * time.Second, 10200 * time.Millisecond},
		{[]store.Rate{{N: 500, Per: time.Minute}}, 10, 50, 0, 100 * time.Millisecond},
		{[]store.Rate{{N: 500, Per: time.Minute}}, 10, 501, 60 * time.Second, 61700 * time.Millisecond},
		{[]store.Rate{{N: 100, Per: 24 * time.Hour}}, 10, 52, 28 * time.Minute, 29 * time.Minute},
		{[]store.Rate{{N: 20, Per: time.Second}, {N: 60, Per: 10 * time.Second}}, 4, 61, 10 * time.Second, 10200 * time.Millisecond},
		{[]store.Rate{{N: 60, Per: 10 * time.Second}, {N: 20, Per: time.Second}, {N: 1000, Per: time.Hour}}, 4, 11, 1600 * time.Millisecond, 1700 * time.Millisecond},
		{[]store.Rate{{N: 500, Per: time.Second}}, 4, 600, 1180 * time.Millisecond, 1250 * time.Millisecond},
	} {
		t.Run(fmt.Sprint(c.rates), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, c.messages, "process")
				s := newServer(t, nil, nil)
				o := options(c.connections)
				o.Batch, o.Limits = 100, limited(q, c.rates...)
				start := time.Now()
				if err := run(q, s, o); err != nil {
					t.Fatal(err)
				}
				if d := time.Since(start); d < c.least || d > c.most {
					t.Errorf("%d messages took %v, want %v to %v", c.messages, d, c.least, c.most)
				}
				slices.SortFunc(s.at, time.Time.Compare)
				for _, r := range c.rates {
					within(t, s.at, r)
				}
				s.verify(q, c.messages, nil)
			})
		})
	}
}

// Limit bounds the messages that are tried; what came back untried is not counted.
func TestLimit(t *testing.T) {
	for _, c := range []struct {
		limit int
		first string // what happens to the first message
		tried int
		stops bool
	}{
		{1, "dot 250 ok", 1, true},
		{7, "dot 250 ok", 7, true},
		{7, "lost mail", 7, true},
		{7, "rcpt 550 5.1.1 no such user", 7, true},
		{20, "dot 250 ok", 20, false},
		{50, "dot 250 ok", 20, false},
		{0, "dot 250 ok", 20, false},
	} {
		t.Run(fmt.Sprint(c.limit, " ", c.first), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, 20, "process")
				s := newServer(t, q, map[string][]string{address(0): {c.first, "dot 250 ok"}})
				o := options(3)
				o.Limit = c.limit
				err := run(q, s, o)
				var stopped *StopError
				if c.stops != errors.As(err, &stopped) || !c.stops && err != nil {
					t.Errorf("error %v, want a stop: %v", err, c.stops)
				}
				if n := len(q.rows(t, store.Sent, store.Failed)); n != c.tried {
					t.Errorf("%d messages were tried, want %d", n, c.tried)
				}
				if rows := q.rows(t, store.Claimed, store.Sending); len(rows) > 0 {
					t.Errorf("%d rows are still held", len(rows))
				}
			})
		})
	}
}

// A session carries exactly as many messages as it may.
func TestMessagesPerConnection(t *testing.T) {
	for _, c := range []struct {
		most    int
		refuse  bool // a refused recipient is no message
		carried []int
	}{
		{1, false, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
		{3, false, []int{3, 3, 3, 1}},
		{5, false, []int{5, 5}},
		{5, true, []int{5, 4}},
		{0, false, []int{10}},
	} {
		t.Run(fmt.Sprint(c.most, c.refuse), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, 10, "process")
				scripts, want := map[string][]string{}, map[string]store.State{}
				if c.refuse {
					scripts[address(2)], want[address(2)] = []string{"rcpt 550 5.1.1 no such user"}, store.Failed
				}
				s := newServer(t, q, scripts)
				o := options(1)
				o.MessagesPerConnection = c.most
				if err := run(q, s, o); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(s.carried, c.carried) || s.quits != len(c.carried) {
					t.Errorf("the sessions carried %v, %d ended politely; want %v", s.carried, s.quits, c.carried)
				}
				s.verify(q, 10, want)
			})
		})
	}
}

// A session with nothing to do is closed after ten seconds, whatever is waited for.
func TestIdleSession(t *testing.T) {
	for _, c := range []struct {
		name       string
		recipients int
		script     []string
		rates      []store.Rate
		at         time.Duration // it is still open just before, and closed just after
		dials      int
	}{
		{"waiting for what is due", 2, []string{"rcpt 451 4.3.0 not now", "dot 250 ok"}, nil, idleMost, 2},
		{"waiting for the rate", 2, nil, []store.Rate{{N: 1, Per: time.Minute}}, 0, 2},
		{"a rate that is fast enough", 5, nil, []store.Rate{{N: 1, Per: 5 * time.Second}}, 20 * time.Second, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, c.recipients, "process")
				s := newServer(t, q, map[string][]string{address(0): c.script})
				o := options(1)
				o.Limits, o.Wait = limited(q, c.rates...), 10*time.Minute
				open := func(want int) {
					s.mu.Lock()
					defer s.mu.Unlock()
					if s.open != want {
						t.Errorf("%d sessions are open %v after the last message, want %d", s.open, time.Since(s.at[len(s.at)-1]), want)
					}
				}
				done := make(chan error)
				go func() { done <- run(q, s, o) }()
				if c.at > 0 {
					time.Sleep(c.at - time.Second)
					open(1)
				}
				time.Sleep(2 * time.Second)
				open(0)
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				if s.dialled != c.dials {
					t.Errorf("%d dials, want %d", s.dialled, c.dials)
				}
				s.verify(q, c.recipients, nil)
			})
		})
	}
}
