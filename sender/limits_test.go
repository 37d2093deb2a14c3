package sender

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailblast/campaign/mail"
	"mailblast/sender/pace"
	"mailblast/store"
)

// A quota ends the run with the time when it goes on, and whoever stays for that long goes on.
func TestQuota(t *testing.T) {
	for _, c := range []struct {
		name string
		wait time.Duration
		sent int
	}{
		{"ends", time.Minute, 8},
		{"stays", 25 * time.Hour, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, 20, "process")
				s := newServer(t, nil, map[string][]string{address(2): {"rcpt 550 5.1.1 no such user"}})
				o := options(4)
				o.Wait, o.Limits = c.wait, limits{q.second, store.Allowance{Quotas: []store.Rate{{N: 8, Per: 24 * time.Hour}}}}
				start := time.Now()
				err := run(q, s, o)
				var stop *StopError
				if c.sent == 20 && err != nil || c.sent < 20 && !errors.As(err, &stop) {
					t.Fatalf("got %v", err)
				}
				if stop != nil && (stop.Until.Sub(start) < 24*time.Hour || !strings.Contains(stop.Reason, "the quota of 8 messages in 24 hours is used up; it goes on at ")) {
					t.Errorf("got %v, until %v", err, stop.Until)
				}
				if rows := q.rows(t, store.Claimed, store.Sending); len(rows) > 0 {
					t.Errorf("%d rows are still held", len(rows))
				}
				taken := 0
				for _, n := range s.accepted {
					taken += n
				}
				if c.sent < 20 && (taken > 8 || taken < 7) || c.sent == 20 && taken != 19 {
					t.Errorf("%d were taken", taken)
				}
			})
		})
	}
}

// domainLimits hold a rate for one domain.
type domainLimits struct {
	limits
	domain string
}

func (l domainLimits) Reserve(ctx context.Context, want int) (store.Grant, error) {
	return l.store.Reserve(ctx, "fake:25", l.domain, l.limits.limits, want, time.Now())
}

func (l domainLimits) Return(ctx context.Context, u store.Unsent) error {
	return l.store.Return(ctx, "fake:25", l.domain, l.limits.limits, u)
}

// What a run was granted and did not offer is there for the next one at once: of the server's rate and of the domain's.
func TestUnusedGrantsGoBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 60, "process")
		s := newServer(t, nil, map[string][]string{address(2): {"rcpt 550 5.1.1 no such user"}})
		o := options(4)
		hourly := limits{q.second, store.Allowance{Rates: []store.Rate{{N: 100, Per: time.Hour}}}}
		domain := domainLimits{hourly, "example.com"}
		o.Batch, o.Limits, o.DomainLimits = 30, hourly, func(string) pace.Reserver { return domain }
		claim, cancel := context.WithCancel(t.Context())
		defer cancel()
		var composed atomic.Int32
		compose := o.Compose
		o.Compose = func() Compose {
			make := compose()
			return func(j store.Job) (mail.Message, error) {
				if composed.Add(1) == 20 {
					cancel()
				}
				return make(j)
			}
		}
		var stop *StopError
		if err := o.run(context.Background(), claim, q, s); !errors.As(err, &stop) {
			t.Fatal(err)
		}
		for _, l := range []pace.Reserver{hourly, domain} {
			left := 0
			for {
				g, err := l.Reserve(t.Context(), 50)
				if err != nil {
					t.Fatal(err)
				}
				if g.N == 0 || time.Until(g.From) > time.Millisecond {
					break
				}
				left += g.N
			}
			if offered := len(s.at); offered < 10 || offered > 30 || left != 50-offered { // half of it may come at once
				t.Errorf("%T: %d were offered, and %d are left at once", l, offered, left)
			}
		}
	})
}

// Outside of its window nothing is sent.
func TestOpen(t *testing.T) {
	for _, wait := range []time.Duration{time.Minute, 3 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(t, 40, "process")
			s := newServer(t, nil, nil)
			o := options(4)
			start := time.Now()
			// Open from the second hour on, for ten seconds every hour.
			o.Open = func(at time.Time) (bool, time.Time) {
				since := at.Sub(start)
				hour := since.Truncate(time.Hour)
				if open := since >= 2*time.Hour && since-hour < 10*time.Second; open {
					return true, start.Add(hour + 10*time.Second)
				}
				return false, start.Add(max(hour+time.Hour, 2*time.Hour))
			}
			o.Wait, o.Limits = wait, limited(q, store.Rate{N: 2, Per: time.Second})
			err := run(q, s, o)
			if wait < time.Hour {
				var stop *StopError
				if !errors.As(err, &stop) || !stop.Until.Equal(start.Add(2*time.Hour)) || len(s.at) > 0 || s.dialled > 0 {
					t.Errorf("%v, %d offered", err, len(s.at))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range s.at {
				if open, _ := o.Open(at); !open {
					t.Errorf("a message was offered after %v", at.Sub(start))
				}
			}
			s.verify(q, 40, nil)
		})
	}
}

// A server that lets in three connections gets three, and one that takes twelve messages in each gets no more, without anything that
// counts as a failure. What is under way when it says so is not taken for what it takes.
func TestFewConnections(t *testing.T) {
	for _, pipeline := range []int{1, 8} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(t, 200, "process")
			s := newServer(t, nil, nil)
			s.letsIn, s.perSession = 3, 12
			o := options(10)
			o.Stats, o.Limits = &Stats{}, limited(q, store.Rate{N: 20, Per: time.Second})
			if pipeline > 1 {
				s.depth, o.Limits = pipeline, nil // to have so many under way
			}
			if err := run(q, s, o); err != nil {
				t.Fatal(err)
			}
			if o.Stats.Routes[0].Window != 3 {
				t.Errorf("found a window of %d", o.Stats.Routes[0].Window)
			}
			if s.turnedAway > 12 {
				t.Errorf("%d connections were turned away", s.turnedAway)
			}
			if n := len(s.at); n > 200+6*pipeline {
				t.Errorf("%d envelopes for 200 messages", n)
			}
			if most := slices.Max(s.carried[s.letsIn:]); most > s.perSession {
				t.Errorf("%d messages in a session when it was known that it takes %d: %v", most, s.perSession, s.carried)
			}
			s.verify(q, 200, nil)
		})
	}
}
