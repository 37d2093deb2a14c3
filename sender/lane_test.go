package sender

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailblast/sender/reply"
	"mailblast/store"
)

// several are servers with names a, b, c…, each with so many connections.
func several(connections int, all ...*server) []Route {
	var servers []Route
	for i, s := range all {
		servers = append(servers, Route{Name: string(rune('a' + i)), Transport: s, Connections: connections})
	}
	return servers
}

// took is how many messages a server took.
func (s *server) took() (n int) {
	for _, c := range s.accepted {
		n += c
	}
	return n
}

// once asserts that everybody got one message, over the server that the row names.
func once(t *testing.T, q *queue, recipients int, servers []Route) {
	t.Helper()
	rows := q.rows(t, store.Sent)
	if len(rows) != recipients {
		t.Errorf("%d are sent, want %d", len(rows), recipients)
	}
	for a, row := range rows {
		for _, to := range servers {
			want := 0
			if to.Name == row.Server {
				want = 1
			}
			if got := to.Transport.(*server).accepted[a]; got != want {
				t.Errorf("server %s took %d messages for %s, who is sent over %s", to.Name, got, a, row.Server)
			}
		}
	}
}

// Whatever happens to one server, the others take its messages, and nobody fails or gets two.
func TestOneServerFails(t *testing.T) {
	down := reply.Broken(reply.Connect, errors.New("connection refused"))
	final := refusedDial(reply.Auth, 535, "5.7.8 wrong password")
	const recipients = 300
	all := func(entry string) map[string][]string {
		scripts := map[string][]string{}
		for n := range recipients {
			scripts[address(n)] = []string{entry}
		}
		return scripts
	}
	for _, c := range []struct {
		name   string
		spoil  func(bad *Route, s *server, q *queue)
		takes  int    // what the bad server takes at most
		out    string // why it is left out in the end
		atMost time.Duration
	}{
		{"down", func(_ *Route, s *server, _ *queue) { s.dials = []error{down} }, 0, "", 30 * time.Second},
		{"refuses the password", func(_ *Route, s *server, _ *queue) { s.dials = []error{final} }, 0, "the server cannot be used", 3 * time.Second},
		{"throttles for ever", func(_ *Route, s *server, _ *queue) {
			s.scripts = all("rcpt 454 4.7.0 Throttling failure: faster than the account may send.")
		}, 0, "", 10 * time.Second},
		{"slow by its limit", func(bad *Route, _ *server, q *queue) {
			bad.Limits = limits{q.second, store.Allowance{Rates: []store.Rate{{N: 1, Per: time.Minute}}}}
		}, 2, "", 10 * time.Second},
		{"out of quota", func(bad *Route, _ *server, q *queue) {
			bad.Limits = limits{q.second, store.Allowance{Quotas: []store.Rate{{N: 7, Per: 24 * time.Hour}}}}
		}, 7, "the quota of 7 messages in 24 hours is used up", 10 * time.Second},
		{"says that its quota is used up", func(_ *Route, s *server, _ *queue) {
			s.scripts = all("mail 454 4.7.0 Throttling failure: Daily message quota exceeded.")
		}, 0, "the server refuses the messages", 10 * time.Second},
		{"refuses the sender", func(_ *Route, s *server, _ *queue) { s.scripts = all("mail 550 5.7.1 Sender address not verified") }, 0, "", 10 * time.Second},
	} {
		for _, weight := range []int{0, 1} {
			t.Run(fmt.Sprint(c.name, ", weight ", weight), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := newQueue(t, recipients, "process")
					servers := several(3, newServer(t, nil, nil), newServer(t, nil, nil), newServer(t, nil, nil))
					bad := servers[1].Transport.(*server)
					c.spoil(&servers[1], bad, q)
					for i := range servers {
						if servers[i].Weight = weight; i != 1 {
							servers[i].Limits = spreadOut(store.Rate{N: 100, Per: time.Second})
						}
					}
					o := options(0).Options
					o.Stats = &Stats{}
					start := time.Now()
					if err := Run(context.Background(), context.Background(), q, servers, o); err != nil {
						t.Fatal(err)
					}
					if took := time.Since(start); took > c.atMost {
						t.Errorf("it took %v", took)
					}
					if n := bad.took(); n > c.takes {
						t.Errorf("it took %d messages", n)
					}
					if out := o.Stats.Routes[1].Out; c.out != "" && (out == nil || !strings.Contains(out.Error(), c.out)) {
						t.Errorf("it is left out: %v", out)
					}
					if o.Stats.Routes[0].Out != nil || o.Stats.Routes[2].Out != nil {
						t.Errorf("others are left out: %+v", o.Stats.Routes)
					}
					once(t, q, recipients, servers)
				})
			})
		}
	}
}

// A hanging server takes connections and says nothing.
type hanging struct{}

func (hanging) Dial(ctx context.Context) (Session, error) {
	<-ctx.Done()
	return nil, reply.Broken(reply.Connect, ctx.Err())
}

// No message waits for a server that hangs, nor does the end of the run.
func TestServerHangs(t *testing.T) {
	for _, weight := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(t, 100, "process")
			servers := several(3, newServer(t, nil, nil))
			servers = append(servers, Route{Name: "hangs", Transport: hanging{}, Connections: 3, Weight: weight})
			servers[0].Weight = weight
			start := time.Now()
			if err := Run(context.Background(), context.Background(), q, servers, options(0).Options); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("it took %v", took)
			}
			once(t, q, 100, servers[:1])
		})
	}
}

// A server that comes up again is sent over again.
func TestServerComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const recipients = 2000
		q := newQueue(t, recipients, "process")
		servers := several(2, newServer(t, nil, nil), newServer(t, nil, nil))
		down := reply.Broken(reply.Connect, errors.New("connection refused"))
		bad := servers[0].Transport.(*server)
		for range 12 {
			bad.dials = append(bad.dials, down)
		}
		bad.dials = append(bad.dials, nil)
		servers[1].Limits = spreadOut(store.Rate{N: 10, Per: time.Second})
		o := options(0).Options
		o.Stats = &Stats{}
		if err := Run(context.Background(), context.Background(), q, servers, o); err != nil {
			t.Fatal(err)
		}
		if bad.took() == 0 || o.Stats.Routes[0].Out != nil {
			t.Errorf("it took %d, and is left out: %v", bad.took(), o.Stats.Routes[0].Out)
		}
		once(t, q, recipients, servers)
	})
}

// When no server is left the run stops, with the reasons of all, and the first time when it is of use to go on.
func TestNoServerIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 100, "process")
		servers := several(2, newServer(t, nil, nil), newServer(t, nil, nil), newServer(t, nil, nil))
		servers[0].Transport.(*server).dials = []error{reply.Broken(reply.Connect, errors.New("connection refused"))}
		servers[1].Transport.(*server).dials = []error{reply.Unusable(reply.Auth, errors.New("wrong password"), "")}
		servers[2].Limits = limits{q.second, store.Allowance{Quotas: []store.Rate{{N: 30, Per: 24 * time.Hour}}}}
		o := options(0).Options
		start := time.Now()
		err := Run(context.Background(), context.Background(), q, servers, o)
		var stop *StopError
		if !errors.As(err, &stop) || stop.Until.Sub(start) < 23*time.Hour {
			t.Fatalf("got %v", err)
		}
		for _, part := range []string{"no server is left: a: the server cannot be reached: ", "connection refused; b: the server cannot be used: ", "; c: the quota of 30 messages in 24 hours is used up; it goes on at "} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q is not in %q", part, err)
			}
		}
		if rows := q.rows(t, store.Claimed, store.Sending); len(rows) > 0 {
			t.Errorf("%d rows are still held", len(rows))
		}
		if n := len(q.rows(t, store.Sent)); n < 28 || n > 30 {
			t.Errorf("%d are sent", n)
		}
	})
}

// Servers get their parts by weight while they can take them.
func TestWeights(t *testing.T) {
	const recipients = 1000
	for _, weights := range [][]int{{3, 1}, {1, 1}, {5, 3, 2}, {1, 100}} {
		t.Run(fmt.Sprint(weights), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, recipients, "process")
				var fakes []*server
				sum := 0
				for _, w := range weights {
					fakes = append(fakes, newServer(t, nil, nil))
					sum += w
				}
				servers := several(4, fakes...)
				for i, w := range weights {
					servers[i].Weight = w
				}
				o := options(0).Options
				o.Batch = 100
				// The workers of all are there before the first job is: how many messages a server takes before the others have come is chance.
				assembled := &faulty{queue: q, claim: func(n int) error {
					if n == 1 {
						time.Sleep(time.Millisecond)
					}
					return nil
				}}
				if err := Run(context.Background(), context.Background(), assembled, servers, o); err != nil {
					t.Fatal(err)
				}
				for i, w := range weights {
					if got, want := fakes[i].took(), recipients*w/sum; got < want-2*turnsAhead || got > want+2*turnsAhead {
						t.Errorf("server %d took %d messages, want %d", i, got, want)
					}
				}
				once(t, q, recipients, servers)
			})
		})
	}
}

// A connection that was lost at the moment of doubt leaves the recipient in doubt, and no other server gets the message.
func TestDoubtStaysWithItsServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const recipients = 60
		q := newQueue(t, recipients, "process")
		scripts := map[string][]string{}
		for n := range recipients {
			scripts[address(n)] = []string{"lost dot"}
		}
		servers := several(2, newServer(t, nil, scripts), newServer(t, nil, nil))
		o := options(0).Options
		if err := Run(context.Background(), context.Background(), q, servers, o); err != nil {
			t.Fatal(err)
		}
		doubt := q.rows(t, store.InDoubt)
		if len(doubt) == 0 {
			t.Error("nobody is in doubt")
		}
		for a, row := range doubt {
			if n := servers[1].Transport.(*server).completed[a]; n > 0 || row.Server != "a" {
				t.Errorf("%s, in doubt at %s, may have got %d messages over the other server", a, row.Server, n)
			}
		}
		for a, row := range q.rows(t, store.Sent) {
			if row.Server != "b" {
				t.Errorf("%s is sent over %s", a, row.Server)
			}
		}
	})
}

// What was found out is told while the run goes on, and again later if it could not be written down, which ends nothing.
func TestLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 1000, "process")
		servers := several(5, newServer(t, nil, nil))
		servers[0].Transport.(*server).letsIn = 2
		servers[0].Limits = spreadOut(store.Rate{N: 50, Per: time.Second})
		start := time.Now()
		var told []time.Duration
		servers[0].Learned = func(_ context.Context, s RouteStats) error {
			told = append(told, time.Since(start))
			if s.Window != 2 || s.Name != "a" {
				t.Errorf("got %+v", s)
			}
			if len(told) == 1 {
				return errors.New("disk full")
			}
			return nil
		}
		if err := Run(context.Background(), context.Background(), q, servers, options(0).Options); err != nil {
			t.Fatal(err)
		}
		once(t, q, 1000, servers)
		if len(told) != 2 || told[0] > 2*learnedPoll || told[1]-told[0] != learnedPause {
			t.Errorf("told after %v", told)
		}
	})
}
