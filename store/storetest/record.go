package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"mailblast/store"
)

// A claim that was lost is left out of a group, and all others of the group are written.
func testLostClaimInGroup(t *testing.T, place func(testing.TB) Place) {
	p := loaded(t, place, 6)
	jobs := p.claim(6)
	p.begin(jobs[:3]...)
	jobs[1].Attempt++ // as if this claim were older than the one that the queue knows
	jobs[4].Owner++
	bounced := store.Outcome{Job: jobs[2], State: store.Failed, Kind: store.Bounced, Code: 550, Text: "no such user"} // writes to more than one row
	kept := p.record(jobs[3:], sent(jobs[0]), sent(jobs[1]), bounced)
	if len(kept) != 2 || kept[0].ID != jobs[3].ID || kept[1].ID != jobs[5].ID {
		t.Errorf("begun: %v", kept)
	}
	p.wantCounts(store.Counts{Sent: 1, Failed: 1, Sending: 3, Claimed: 1})
}

// A group whose time is over is written as a whole, or not at all.
func testRecordCancelled(t *testing.T, place func(testing.TB) Place) {
	p := loaded(t, place, 4)
	jobs := p.claim(4)
	p.begin(jobs[:2]...)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	kept, err := p.Record(over, jobs[2:], []store.Outcome{sent(jobs[0]), sent(jobs[1])})
	if err != nil {
		p.wantCounts(store.Counts{Sending: 2, Claimed: 2})
		kept = p.record(jobs[2:], sent(jobs[0]), sent(jobs[1])) // it can be repeated
	}
	if len(kept) != 2 {
		t.Errorf("%d were begun", len(kept))
	}
	p.wantCounts(store.Counts{Sent: 2, Sending: 2})
}

// Several goroutines of a process claim and record at the same time: each recipient is begun by one of them.
func testRecordTogether(t *testing.T, place func(testing.TB) Place) {
	const all, workers = 200, 6
	p := loaded(t, place, all)
	var mu sync.Mutex
	begun := map[string]int{}
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			var finish []store.Outcome
			for {
				jobs, err := p.Claim(t.Context(), store.Want{N: 7})
				if err != nil {
					t.Error(err)
				}
				kept, err := p.Record(t.Context(), jobs, finish)
				if err != nil || len(kept) != len(jobs) {
					t.Errorf("%d of %d were begun, %v", len(kept), len(jobs), err)
				}
				if len(jobs) == 0 || err != nil {
					return
				}
				finish = finish[:0]
				mu.Lock()
				for _, j := range kept {
					begun[j.Address]++
					finish = append(finish, sent(j))
				}
				mu.Unlock()
			}
		})
	}
	working.Wait()
	for address, n := range begun {
		if n > 1 {
			t.Errorf("%s was begun %d times", address, n)
		}
	}
	if len(begun) != all {
		t.Errorf("%d were begun, want %d", len(begun), all)
	}
	p.wantCounts(store.Counts{Sent: all})
}

// What is queued, deferred or not, ends when it is too late.
func testExpire(t *testing.T, place func(testing.TB) Place) {
	p := loaded(t, place, 5)
	jobs := p.claim(3)
	p.finish(store.Outcome{Job: jobs[0], State: store.Queued, Due: time.Now().Add(time.Hour), Kind: store.Deferred, Code: 451, Text: "later"}, sent(jobs[1]))
	if err := p.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.wantCounts(store.Counts{Failed: 3, Sent: 1, Claimed: 1})
	for _, r := range p.rows(store.Failed) {
		if r.Reply != "expired" || r.Code != 0 {
			t.Errorf("%+v", r)
		}
	}
}

// A campaign is finished when nothing is left to do, until there is something again. What is left is due when it says so.
func testFinish(t *testing.T, place func(testing.TB) Place) {
	p := loaded(t, place, 2)
	finished := func(want bool) {
		t.Helper()
		if err := p.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c, err := p.queue.Campaign(t.Context(), "test"); err != nil || c.Finished.IsZero() == want || c.Started.IsZero() {
			t.Errorf("finished %v, started %v, %v", c.Finished, c.Started, err)
		}
	}
	jobs := p.claim(2)
	p.begin(jobs...)
	due := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	p.finish(sent(jobs[0]), store.Outcome{Job: jobs[1], State: store.Queued, Due: due, Kind: store.Deferred, Code: 450})
	finished(false)
	if counts, next, err := p.Pending(t.Context()); counts.Pending() != 1 || next.Sub(due).Abs() > time.Second || err != nil {
		t.Errorf("%+v, next %v, %v; want %v", counts, next, err, due)
	}
	if err := p.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	finished(true)
	if counts, next, err := p.Pending(t.Context()); counts.Pending() != 0 || !next.IsZero() || err != nil {
		t.Errorf("%+v, next %v, %v", counts, next, err)
	}
	p.retries(store.Failed, 1)
	finished(false)
}
