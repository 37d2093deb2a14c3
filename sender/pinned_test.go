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

// Who was in doubt, and is put back, goes over the server that may have the message, and else stays in the queue, while all others go on.
func TestPinned(t *testing.T) {
	const recipients, doubtful = 60, 3
	down := reply.Broken(reply.Connect, errors.New("connection refused"))
	final := reply.Unusable(reply.Auth, errors.New("wrong password"), "")
	for _, c := range []struct {
		name  string
		spoil func(all []Route, q *queue) []Route
		stays string // the reason for which they stay in the queue; "": they are sent to
	}{
		{"well", func(all []Route, _ *queue) []Route { return all }, ""},
		{"the only one", func(all []Route, _ *queue) []Route { return all[:1] }, ""},
		{"slow by its limit", func(all []Route, _ *queue) []Route {
			all[0].Limits = spreadOut(store.Rate{N: 1, Per: 20 * time.Second})
			return all
		}, ""},
		{"throttles", func(all []Route, _ *queue) []Route {
			s := all[0].Transport.(*server)
			for n := range doubtful {
				s.scripts[address(n)] = []string{"mail 454 4.7.0 Throttling failure: faster than the account may send.", "rcpt 450 4.2.0 greylisted", "dot 250 ok"}
			}
			return all
		}, ""},
		{"loses connections", func(all []Route, _ *queue) []Route {
			s := all[0].Transport.(*server)
			for n := range doubtful {
				s.scripts[address(n)] = []string{"lost mail", "lost content", "dot 250 ok"}
			}
			return all
		}, ""},
		{"removed", func(all []Route, _ *queue) []Route { return all[1:2] }, "server a is not among the campaign's servers"},
		{"renamed", func(all []Route, _ *queue) []Route { all[0].Name = "z"; return all }, "server a is not among the campaign's servers"},
		{"down", func(all []Route, _ *queue) []Route { all[0].Transport.(*server).dials = []error{down}; return all }, "server a is left out: the server cannot be reached"},
		{"refuses the password", func(all []Route, _ *queue) []Route { all[0].Transport.(*server).dials = []error{final}; return all }, "server a is left out: the server cannot be used"},
		{"out of quota", func(all []Route, q *queue) []Route {
			all[0].Limits = limits{q.second, store.Allowance{Quotas: []store.Rate{{N: 1, Per: 24 * time.Hour}}}}
			if g, err := all[0].Limits.Reserve(t.Context(), 1); g.N != 1 || err != nil {
				t.Errorf("%+v, %v", g, err)
			}
			return all
		}, "server a is left out: the quota of 1 messages in 24 hours is used up"},
	} {
		for _, weight := range []int{0, 1} {
			t.Run(fmt.Sprint(c.name, ", weight ", weight), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := newQueue(t, recipients, "process")
					scripts := map[string][]string{}
					for n := range doubtful {
						scripts[address(n)] = []string{"lost dot"}
					}
					o := options(0).Options
					o.Limit, o.Wait = 10, 5*time.Minute
					before := newServer(t, nil, scripts)
					Run(context.Background(), context.Background(), q, several(2, before), o)
					if n, err := q.Retry(context.Background(), store.InDoubt); n != doubtful || err != nil {
						t.Fatalf("%d were in doubt, %v", n, err)
					}
					o.Limit, o.Batch = 0, 10
					servers := several(2, newServer(t, nil, map[string][]string{}), newServer(t, nil, nil))
					for i := range servers {
						servers[i].Weight = weight
					}
					servers = c.spoil(servers, q)
					start := time.Now()
					check := func(err error, stays string) {
						t.Helper()
						if stays == "" && err != nil || stays != "" && (err == nil || !strings.Contains(err.Error(), stays)) {
							t.Errorf("the run ended with %v", err)
						}
						for a, row := range q.rows(t) {
							tried := 0
							for _, s := range servers {
								if s.Name != "a" {
									tried += s.Transport.(*server).tries[a]
								}
							}
							switch _, doubted := scripts[a]; {
							case doubted && tried > 0:
								t.Errorf("%s was sent to over another server", a)
							case doubted && stays != "" && row.State != store.Queued, (!doubted || stays == "") && row.State != store.Sent:
								t.Errorf("%s is %s (%s)", a, row.State, row.Reply)
							case doubted && stays == "" && row.Server != "a":
								t.Errorf("%s was sent to over %q", a, row.Server)
							case !doubted && stays == "" && row.Updated.Sub(start) > 5*time.Second:
								t.Errorf("%s waited for others", a)
							}
						}
					}
					check(Run(context.Background(), context.Background(), q, servers, o), c.stays)
					if c.stays == "" {
						return
					}
					// The next run finds them due, if the server is well.
					if _, _, err := q.Recover(context.Background()); err != nil {
						t.Fatal(err)
					}
					servers, start = several(2, newServer(t, nil, nil), newServer(t, nil, nil)), time.Now()
					check(Run(context.Background(), context.Background(), q, servers, o), "")
				})
			})
		}
	}
}

// A pin is given up by a person only.
func TestUnpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 1, "process")
		o := options(0).Options
		Run(context.Background(), context.Background(), q, several(1, newServer(t, nil, map[string][]string{address(0): {"lost dot"}})), o)
		if n, err := q.Retry(context.Background(), store.InDoubt); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		other := several(1, newServer(t, nil, nil), newServer(t, nil, nil))[1:]
		if err := Run(context.Background(), context.Background(), q, other, o); err == nil {
			t.Error("it was sent over another server")
		}
		if n, err := q.Unpin(context.Background()); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if err := Run(context.Background(), context.Background(), q, other, o); err != nil {
			t.Error(err)
		}
		once(t, q, 1, other)
	})
}
