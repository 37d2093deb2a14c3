package storetest

import (
	"testing"
	"time"

	"mailblast/store"
)

// A pinCase is how a recipient comes to be queued, by a process that claims its only recipient for a run over one
// server, or over several.
type pinCase struct {
	name string
	only string // the server of the run
	do   func(t *testing.T, p *process, claim func() store.Job) *process
	want string // the server that it is pinned to then
}

func pinCases() []pinCase {
	over := func(j store.Job, server string) store.Job { j.Route = server; return j }
	doubted := func(p *process, j store.Job) {
		p.finish(store.Outcome{Job: j, State: store.InDoubt, Server: "b"})
		p.retries(store.InDoubt, 1)
	}
	killed := func(p *process) *process {
		next := p.dies().recovers(0, 1)
		next.retries(store.InDoubt, 1)
		return next
	}
	return []pinCase{
		{"killed, one server", "a", func(t *testing.T, p *process, claim func() store.Job) *process {
			p.begin(claim())
			return killed(p)
		}, "a"},
		{"killed, several servers", "", func(t *testing.T, p *process, claim func() store.Job) *process {
			p.begin(over(claim(), "b"))
			return killed(p)
		}, "b"},
		{"killed with one server, deferred by another before", "a", func(t *testing.T, p *process, claim func() store.Job) *process {
			p.finish(store.Outcome{Job: claim(), State: store.Queued, Code: 450, Server: "b"})
			p.begin(claim())
			return killed(p)
		}, "a"},
		{"connection lost", "", func(t *testing.T, p *process, claim func() store.Job) *process {
			j := over(claim(), "b")
			p.begin(j)
			doubted(p, j)
			return p
		}, "b"},
		{"pinned, and begun over several: it stays pinned", "", func(t *testing.T, p *process, claim func() store.Job) *process {
			doubted(p, claim())
			j := claim()
			p.begin(over(j, "b"))
			p.finish(store.Outcome{Job: j, State: store.Queued, Code: 421})
			return p
		}, "b"},
		{"put back untried, deferred, refused and put back", "a", func(t *testing.T, p *process, claim func() store.Job) *process {
			doubted(p, claim())
			p.finish(store.Outcome{Job: claim(), State: store.Queued})
			p.finish(store.Outcome{Job: claim(), State: store.Queued, Kind: store.Deferred, Code: 450, Server: "b"})
			p.finish(store.Outcome{Job: claim(), State: store.Failed, Code: 550, Server: "b"})
			p.retries(store.Failed, 1)
			return p
		}, "b"},
		{"waited for its server for long", "a", func(t *testing.T, p *process, claim func() store.Job) *process {
			doubted(p, claim())
			p.finish(store.Outcome{Job: claim(), State: store.Queued, Kind: store.Deferred, Code: 450, Server: "b"})
			p.finish(store.Outcome{Job: claim(), State: store.Queued, Due: time.Now().Add(time.Hour)})
			if none := p.claim(1); len(none) > 0 {
				t.Errorf("claimed %+v", none)
			}
			return p.dies().recovers(0, 0)
		}, "b"},
		{"a person says otherwise", "a", func(t *testing.T, p *process, claim func() store.Job) *process {
			doubted(p, claim())
			if n, err := p.Unpin(t.Context()); n != 1 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			return p
		}, ""},
		{"deferred", "a", func(t *testing.T, p *process, claim func() store.Job) *process {
			p.finish(store.Outcome{Job: claim(), State: store.Queued, Code: 450, Server: "b"})
			return p
		}, ""},
		{"nobody knows", "", func(t *testing.T, p *process, claim func() store.Job) *process {
			p.finish(store.Outcome{Job: claim(), State: store.InDoubt})
			p.retries(store.InDoubt, 1)
			return p
		}, ""},
	}
}

// Who was in doubt, and is put back, is claimed for the server that may have the message, however the doubt came about,
// and for that one until a person says otherwise.
func testPin(t *testing.T, place func(testing.TB) Place) {
	for _, test := range pinCases() {
		t.Run(test.name, func(t *testing.T) {
			p := loaded(t, place, 1)
			last := test.do(t, p, func() store.Job {
				t.Helper()
				jobs := p.claimOver(test.only, 1)
				if len(jobs) != 1 {
					t.Fatalf("claimed %+v", jobs)
				}
				return jobs[0]
			})
			if err := last.Release(); err != nil {
				t.Fatal(err)
			}
			next := (&process{t: t, place: p.place, queue: p.place.Open(t)}).holds("test")
			if jobs := next.claim(1); len(jobs) != 1 || jobs[0].Pin != test.want {
				t.Errorf("claimed %+v, want it for %q", jobs, test.want)
			}
		})
	}
}
