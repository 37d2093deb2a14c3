package sqlite

import (
	"testing"
	"time"

	"mailblast/store"
)

// Who was in doubt, and is put back, is claimed for the server that may have the message, however the doubt came about, and for that one
// until a person says otherwise.
func TestPin(t *testing.T) {
	over := func(jobs []store.Job, server string) []store.Job { jobs[0].Route = server; return jobs }
	for _, test := range []struct {
		name string
		only string // the server of the process
		do   func(t *testing.T, l *Lease, claim func() []store.Job)
		want string
	}{
		{"killed, one server", "a", func(t *testing.T, l *Lease, claim func() []store.Job) {
			record(t, l, claim())
			recovered(t, l, 0, 1)
			retried(t, l, store.InDoubt, 1)
		}, "a"},
		{"killed, several servers", "", func(t *testing.T, l *Lease, claim func() []store.Job) {
			record(t, l, over(claim(), "b"))
			recovered(t, l, 0, 1)
			retried(t, l, store.InDoubt, 1)
		}, "b"},
		{"killed with one server, deferred by another before", "a", func(t *testing.T, l *Lease, claim func() []store.Job) {
			record(t, l, nil, store.Outcome{Job: claim()[0], State: store.Queued, Code: 450, Server: "b"})
			record(t, l, claim())
			recovered(t, l, 0, 1)
			retried(t, l, store.InDoubt, 1)
		}, "a"},
		{"connection lost", "", func(t *testing.T, l *Lease, claim func() []store.Job) {
			jobs := over(claim(), "b")
			record(t, l, jobs)
			record(t, l, nil, store.Outcome{Job: jobs[0], State: store.InDoubt, Server: "b"})
			retried(t, l, store.InDoubt, 1)
		}, "b"},
		{"put back untried, deferred, refused and put back", "a", func(t *testing.T, l *Lease, claim func() []store.Job) {
			record(t, l, nil, store.Outcome{Job: claim()[0], State: store.InDoubt, Server: "b"})
			retried(t, l, store.InDoubt, 1)
			record(t, l, nil, store.Outcome{Job: claim()[0], State: store.Queued})
			record(t, l, nil, store.Outcome{Job: claim()[0], State: store.Queued, Kind: store.Deferred, Code: 450, Server: "b"})
			record(t, l, nil, store.Outcome{Job: claim()[0], State: store.Failed, Code: 550, Server: "b"})
			retried(t, l, store.Failed, 1)
		}, "b"},
		{"waited for its server for long", "a", func(t *testing.T, l *Lease, claim func() []store.Job) {
			record(t, l, nil, store.Outcome{Job: claim()[0], State: store.InDoubt, Server: "b"})
			retried(t, l, store.InDoubt, 1)
			record(t, l, nil, store.Outcome{Job: claim()[0], State: store.Queued, Kind: store.Deferred, Code: 450, Server: "b"})
			record(t, l, nil, store.Outcome{Job: claim()[0], State: store.Queued, Due: time.Now().Add(time.Hour)})
			if none := claim(); len(none) > 0 {
				t.Errorf("claimed %+v", none)
			}
			recovered(t, l, 0, 0)
		}, "b"},
		{"a person says otherwise", "a", func(t *testing.T, l *Lease, claim func() []store.Job) {
			record(t, l, nil, store.Outcome{Job: claim()[0], State: store.InDoubt, Server: "b"})
			retried(t, l, store.InDoubt, 1)
			if n, err := l.Unpin(t.Context()); n != 1 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		}, ""},
		{"deferred", "a", func(t *testing.T, l *Lease, claim func() []store.Job) {
			record(t, l, nil, store.Outcome{Job: claim()[0], State: store.Queued, Code: 450, Server: "b"})
		}, ""},
		{"nobody knows", "", func(t *testing.T, l *Lease, claim func() []store.Job) {
			record(t, l, nil, store.Outcome{Job: claim()[0], State: store.InDoubt})
			retried(t, l, store.InDoubt, 1)
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, l := loaded(t, 1)
			test.do(t, l, func() []store.Job { return claimOver(t, l, test.only, 1) })
			if err := l.Release(); err != nil {
				t.Fatal(err)
			}
			next := acquire(t, s, "test") // as another process finds it
			if jobs := claim(t, next, 1); len(jobs) != 1 || jobs[0].Pin != test.want {
				t.Errorf("claimed %+v, want it for %q", jobs, test.want)
			}
		})
	}
}
