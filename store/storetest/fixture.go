package storetest

import (
	"fmt"
	"io"
	"testing"

	"mailblast/store"
)

// Snapshot is that of a small campaign.
var Snapshot = store.Snapshot{
	Path: "campaign.yaml", Source: []byte("name: test"), Columns: []string{"email", "first name"},
	Files: map[string][]byte{"a.html": []byte("<p>"), "empty.txt": {}}, MessageDomain: "example.com", Durability: "strict",
}

// List yields n recipients, user0@example.com and on.
func List(n int) func() (store.Recipient, error) {
	i := 0
	return func() (store.Recipient, error) {
		if i == n {
			return store.Recipient{}, io.EOF
		}
		i++
		a := fmt.Sprintf("user%d@example.com", i-1)
		return store.Recipient{Identity: a, Address: a, Values: []string{a, "Ada"}, Line: i + 1}, nil
	}
}

// Each yields all that there are.
func Each[T any](all []T) func() (T, error) {
	return func() (v T, err error) {
		if len(all) == 0 {
			return v, io.EOF
		}
		v, all = all[0], all[1:]
		return v, nil
	}
}

// Entries yields entries of the suppression list.
func Entries(addresses ...string) func() (store.Suppression, error) {
	var all []store.Suppression
	for _, a := range addresses {
		all = append(all, store.Suppression{Address: a, Reason: "asked", Source: "shop"})
	}
	return Each(all)
}

// Counts is how many recipients of the campaign "test" are in each state. What the queue says has to be what counting says.
func Counts(t testing.TB, q store.Queue) store.Counts {
	t.Helper()
	c, err := q.Campaign(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	var counted store.Counts
	if err := q.Rows(t.Context(), "test", nil, false, func(r store.Row) error {
		*counted.Of(r.State)++
		if r.State == store.Queued && r.Attempts > 0 {
			counted.Deferred++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if counted != c.Counts {
		t.Errorf("the queue says %+v, counted are %+v", c.Counts, counted)
	}
	return c.Counts
}

// A process holds a campaign.
type process struct {
	store.Lease
	t     testing.TB
	place Place
	queue store.Queue
}

// loaded is a process that holds the campaign "test", with n recipients.
func loaded(t testing.TB, place func(testing.TB) Place, n int) *process {
	t.Helper()
	p := started(t, place)
	p.load(Snapshot, List(n))
	return p
}

// started is a process that holds the campaign "test" of an empty queue, which is not loaded.
func started(t testing.TB, place func(testing.TB) Place) *process {
	t.Helper()
	at := place(t)
	return (&process{t: t, place: at, queue: at.Open(t)}).holds("test")
}

// holds is the process with the lease of another campaign.
func (p *process) holds(campaign string) *process {
	p.t.Helper()
	l, err := p.queue.Acquire(p.t.Context(), campaign)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { l.Release() })
	return &process{t: p.t, place: p.place, queue: p.queue, Lease: l}
}

// dies is the process that takes the campaign "test" after this one has died, and has recovered nothing yet.
func (p *process) dies() *process {
	p.t.Helper()
	p.place.Die(p.t, p.Lease)
	return (&process{t: p.t, place: p.place, queue: p.place.Open(p.t)}).holds("test")
}

func (p *process) load(snap store.Snapshot, next func() (store.Recipient, error)) store.Loaded {
	p.t.Helper()
	done, err := p.Load(p.t.Context(), snap, false, next)
	if err != nil {
		p.t.Fatal(err)
	}
	return done
}

func (p *process) claim(n int) []store.Job {
	p.t.Helper()
	return p.claimOver("", n)
}

// claimOver claims for a run that has one server.
func (p *process) claimOver(route string, n int) []store.Job {
	p.t.Helper()
	jobs, err := p.Claim(p.t.Context(), store.Want{N: n, Route: route})
	if err != nil {
		p.t.Fatal(err)
	}
	return jobs
}

func (p *process) begin(jobs ...store.Job) (kept []store.Job) {
	p.t.Helper()
	return p.record(jobs)
}

func (p *process) finish(outcomes ...store.Outcome) {
	p.t.Helper()
	p.record(nil, outcomes...)
}

func (p *process) record(begin []store.Job, finish ...store.Outcome) (kept []store.Job) {
	p.t.Helper()
	kept, err := p.Record(p.t.Context(), begin, finish)
	if err != nil {
		p.t.Fatal(err)
	}
	return kept
}

func (p *process) recovers(requeued, inDoubt int) *process {
	p.t.Helper()
	if r, d, err := p.Recover(p.t.Context()); r != requeued || d != inDoubt || err != nil {
		p.t.Errorf("recovered %d, %d in doubt, %v; want %d, %d", r, d, err, requeued, inDoubt)
	}
	return p
}

func (p *process) retries(from store.State, want int64) {
	p.t.Helper()
	if n, err := p.Retry(p.t.Context(), from); n != want || err != nil {
		p.t.Errorf("retried %d, %v; want %d", n, err, want)
	}
}

func (p *process) suppress(addresses ...string) {
	p.t.Helper()
	if _, _, err := p.queue.Suppress(p.t.Context(), Entries(addresses...)); err != nil {
		p.t.Fatal(err)
	}
}

// suppressed is the list.
func (p *process) suppressed() (all []store.Suppression) {
	p.t.Helper()
	if err := p.queue.Suppressions(p.t.Context(), func(e store.Suppression) error { all = append(all, e); return nil }); err != nil {
		p.t.Fatal(err)
	}
	return all
}

func (p *process) counts() store.Counts {
	p.t.Helper()
	return Counts(p.t, p.queue)
}

func (p *process) wantCounts(want store.Counts) {
	p.t.Helper()
	if got := p.counts(); got != want {
		p.t.Errorf("counts %+v, want %+v", got, want)
	}
}

// rows are those of the campaign "test" in the states, with their earlier attempts.
func (p *process) rows(states ...store.State) (all []store.Row) {
	p.t.Helper()
	if err := p.queue.Rows(p.t.Context(), "test", states, true, func(r store.Row) error { all = append(all, r); return nil }); err != nil {
		p.t.Fatal(err)
	}
	return all
}
