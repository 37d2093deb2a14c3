package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mailblast/store"
)

// Every row once and in order, whatever the batches, the states asked for, and the campaigns between.
func testRows(t *testing.T, place func(testing.TB) Place) {
	for _, n := range []int{0, 1, 999, 1000, 1001, 2000} { // stores read by round numbers
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			p := loaded(t, place, n)
			p.holds("other").load(Snapshot, List(5))
			p.load(Snapshot, Each([]store.Recipient{{Identity: "last@example.com", Address: "last@example.com", Line: n + 100}}))
			for _, states := range [][]store.State{nil, {store.Queued, store.Failed}} {
				var lines []int
				err := p.queue.Rows(t.Context(), "test", states, false, func(r store.Row) error { lines = append(lines, r.Line); return nil })
				if err != nil || len(lines) != n+1 || !slices.IsSorted(lines) || len(slices.Compact(lines)) != n+1 {
					t.Errorf("%d rows of %d, %v", len(lines), n+1, err)
				}
			}
			stop := errors.New("stop")
			if err := p.queue.Rows(t.Context(), "test", nil, false, func(store.Row) error { return stop }); !errors.Is(err, stop) {
				t.Errorf("got %v", err)
			}
		})
	}
	if err := place(t).Open(t).Rows(t.Context(), "test", nil, false, func(store.Row) error { return nil }); !errors.Is(err, store.ErrNoCampaign) {
		t.Errorf("got %v", err)
	}
}

// Whoever reads a report slowly does not hold up the run that it is about.
func testRowsSlowReader(t *testing.T, place func(testing.TB) Place) {
	const all = 2001
	p := loaded(t, place, all)
	n := 0
	err := p.queue.Rows(t.Context(), "test", nil, true, func(store.Row) error {
		if n++; n%1000 == 1 {
			p.begin(p.claim(1)...)
		}
		return nil
	})
	if err != nil || n != all {
		t.Errorf("%d rows, %v", n, err)
	}
}

// A row says how the last attempt ended, and on request how the others did; also those before a person put it back.
func testHistory(t *testing.T, place func(testing.TB) Place) {
	p := loaded(t, place, 2)
	attempts := func(want string) {
		t.Helper()
		r := p.rows()[0]
		var all []string
		for _, a := range r.Earlier {
			if a.At.IsZero() || time.Since(a.At) > time.Minute {
				t.Errorf("an attempt at %v", a.At)
			}
			all = append(all, fmt.Sprintf("%s %d %s %s", a.State, a.Code, a.Reply, a.Server))
		}
		all = append(all, fmt.Sprintf("%s %d %s %s", r.State, r.Code, r.Reply, r.Server))
		if got := strings.Join(all, ", "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	attempts("queued 0  ")
	p.finish(store.Outcome{Job: p.claim(1)[0], State: store.Queued}) // nothing was tried
	attempts("queued 0  ")
	p.finish(store.Outcome{Job: p.claim(1)[0], State: store.Queued, Kind: store.Deferred, Code: 451, Text: "later", Server: "a"})
	attempts("queued 451 later a")
	deferred := p.claim(2)
	slices.SortFunc(deferred, func(a, b store.Job) int { return b.Attempt - a.Attempt })
	p.finish(store.Outcome{Job: deferred[0], State: store.Failed, Code: 550, Text: "no", Server: "b"})
	attempts("queued 451 later a, failed 550 no b")
	p.retries(store.Failed, 1)
	attempts("queued 451 later a, failed 550 no b, queued 0  ")
	j := p.claim(1)[0]
	p.begin(j)
	p.finish(sent(j))
	attempts("queued 451 later a, failed 550 no b, sent 250 ok mx")
	if r := p.rows(store.Sent); len(r) != 1 || r[0].MessageID != j.MessageID || r[0].Attempts != 1 || r[0].Status != "2.0.0" || r[0].Email != j.Address || time.Since(r[0].Updated) > time.Minute {
		t.Errorf("%+v", r)
	}
}

// Campaigns are listed as they were made, one that is not there is an error of its own.
func testCampaigns(t *testing.T, place func(testing.TB) Place) {
	p := started(t, place)
	if all, err := p.queue.Campaigns(t.Context()); len(all) != 0 || err != nil {
		t.Errorf("%+v, %v", all, err)
	}
	for _, name := range []string{"test", "another", "Zoë's"} {
		if _, err := p.queue.Campaign(t.Context(), name); !errors.Is(err, store.ErrNoCampaign) {
			t.Errorf("got %v", err)
		}
		if name != "test" {
			p.holds(name).load(Snapshot, List(2))
			continue
		}
		p.load(Snapshot, List(3))
	}
	all, err := p.queue.Campaigns(t.Context())
	var names []string
	for _, c := range all {
		names = append(names, fmt.Sprint(c.Name, " ", c.Counts.Queued))
		if c.Path != Snapshot.Path || c.Durability != Snapshot.Durability || !slices.Equal(c.Columns, Snapshot.Columns) || time.Since(c.Created) > time.Minute ||
			!c.Started.IsZero() || !c.Finished.IsZero() || !c.Purged.IsZero() {
			t.Errorf("%+v", c)
		}
		if one, err := p.queue.Campaign(t.Context(), c.Name); one.ID != c.ID || err != nil {
			t.Errorf("%+v, %v", one, err)
		}
	}
	if want := []string{"test 3", "another 2", "Zoë's 2"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("%q, %v; want %q", names, err, want)
	}
}

// A purged campaign keeps its name, its dates and the counts of its end states. Nobody knows who was sent to, so nobody
// is sent to. Others are left as they are.
func testPurge(t *testing.T, place func(testing.TB) Place) {
	p := loaded(t, place, 50)
	p.suppress("someone@example.net")
	before := p.counts()
	gone := p.holds("gone")
	snap := store.Snapshot{Path: "gone.yaml", Source: []byte("subject: gone"), Columns: []string{"email", "first name"}, MessageDomain: "gone.example", Durability: "strict",
		Files: map[string][]byte{"gone.html": []byte("<p>gone"), "a.html": []byte("<p>")}}
	gone.load(snap, List(3))
	gone.load(snap, Each([]store.Recipient{{Identity: "bad", Address: "bad", Invalid: "no address"}}))
	jobs := gone.claim(3)
	gone.begin(jobs...)
	gone.finish(sent(jobs[0]), sent(jobs[1]), store.Outcome{Job: jobs[2], State: store.Queued, Kind: store.Deferred, Code: 450, Text: "later"})
	for range 2 { // it may have been interrupted
		if err := gone.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if cleaned, err := p.queue.Scrub(t.Context()); err != nil || !cleaned {
		t.Errorf("cleaned %v, %v", cleaned, err)
	}
	if cleaned, err := p.queue.Scrub(t.Context()); err != nil || cleaned {
		t.Errorf("cleaned what was clean: %v, %v", cleaned, err)
	}
	if c, err := p.queue.Campaign(t.Context(), "gone"); err != nil || c.Purged.IsZero() || c.Counts != (store.Counts{Sent: 2, Invalid: 1}) || c.Path != "" || len(c.Columns) != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	if source, err := p.queue.Source(t.Context(), "gone"); len(source) != 0 || err != nil {
		t.Errorf("%q, %v", source, err)
	}
	if err := p.queue.Rows(t.Context(), "gone", nil, true, func(r store.Row) error { return fmt.Errorf("a row is left: %+v", r) }); err != nil {
		t.Error(err)
	}
	if _, err := gone.Load(t.Context(), Snapshot, true, List(3)); !errors.Is(err, store.ErrPurged) {
		t.Errorf("got %v", err)
	}
	p.wantCounts(before)
	if snap, err := p.queue.Snapshot(t.Context(), "test"); err != nil || string(snap.Files["a.html"]) != "<p>" {
		t.Errorf("the other campaign's files: %v, %v", snap.Files, err)
	}
	if len(p.suppressed()) != 1 {
		t.Error("the suppression list is not the campaign's")
	}
	p.wantKept(1, "the other campaign goes on", p.claim(1))
}

// What was never begun leaves nothing at all, and its name is free.
func testPurgeUnbegun(t *testing.T, place func(testing.TB) Place) {
	p := loaded(t, place, 10)
	if err := p.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if cleaned, err := p.queue.Scrub(t.Context()); err != nil || !cleaned {
		t.Errorf("cleaned %v, %v", cleaned, err)
	}
	if all, err := p.queue.Campaigns(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	if done := p.load(Snapshot, List(3)); done.Added != 3 {
		t.Errorf("%+v", done)
	}
	p.wantCounts(store.Counts{Queued: 3})
}
