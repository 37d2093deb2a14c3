package storetest

import (
	"testing"
	"time"

	"mailblast/store"
)

// A transition is what happens to the only recipient of a campaign, which a process has claimed, and the states that
// come of it.
type transition struct {
	name string
	do   func(t *testing.T, p *process, j store.Job)
	want store.Counts
}

func tryTransitions(t *testing.T, place func(testing.TB) Place, all []transition) {
	for _, test := range all {
		t.Run(test.name, func(t *testing.T) {
			p := loaded(t, place, 1)
			test.do(t, p, p.claim(1)[0])
			p.wantCounts(test.want)
		})
	}
}

func sent(j store.Job) store.Outcome {
	return store.Outcome{Job: j, State: store.Sent, Code: 250, Status: "2.0.0", Text: "ok", Server: "mx"}
}

func failed(j store.Job, kind store.Kind) store.Outcome {
	return store.Outcome{Job: j, State: store.Failed, Kind: kind, Code: 550, Text: "no such user"}
}

// wantListed says whether the only recipient is on the suppression list.
func (p *process) wantListed(want bool) {
	p.t.Helper()
	if _, listed, err := p.queue.Suppressed(p.t.Context(), "user0@example.com"); listed != want || err != nil {
		p.t.Errorf("on the list: %v, %v; want %v", listed, err, want)
	}
}

// wantKept records begins and outcomes, and says why if not all of the begins are kept that should be.
func (p *process) wantKept(want int, why string, begin []store.Job, finish ...store.Outcome) {
	p.t.Helper()
	if kept := p.record(begin, finish...); len(kept) != want {
		p.t.Errorf("%d were begun: %s", len(kept), why)
	}
}

// The table of the states: from each of them, what each change does.
func testTransitions(t *testing.T, place func(testing.TB) Place) {
	later := time.Now().Add(time.Hour)
	tryTransitions(t, place, []transition{
		{"claim", func(*testing.T, *process, store.Job) {}, store.Counts{Claimed: 1}},
		{"begin", func(t *testing.T, p *process, j store.Job) { p.wantKept(1, "it is held", []store.Job{j}) }, store.Counts{Sending: 1}},
		{"begin, sent", func(t *testing.T, p *process, j store.Job) { p.begin(j); p.finish(sent(j)) }, store.Counts{Sent: 1}},
		{"begin, in doubt", func(t *testing.T, p *process, j store.Job) {
			p.begin(j)
			p.finish(store.Outcome{Job: j, State: store.InDoubt})
		}, store.Counts{InDoubt: 1}},
		{"sent twice", func(t *testing.T, p *process, j store.Job) {
			p.begin(j)
			p.finish(sent(j), store.Outcome{Job: j, State: store.Failed})
		}, store.Counts{Sent: 1}},
		{"refused at RCPT, before begin", func(t *testing.T, p *process, j store.Job) {
			p.finish(store.Outcome{Job: j, State: store.Failed, Code: 550})
		}, store.Counts{Failed: 1}},
		{"begin after the end", func(t *testing.T, p *process, j store.Job) {
			p.finish(store.Outcome{Job: j, State: store.Failed})
			p.wantKept(0, "it is finished", []store.Job{j})
		}, store.Counts{Failed: 1}},
		{"begin twice", func(t *testing.T, p *process, j store.Job) { p.begin(j); p.begin(j) }, store.Counts{Sending: 1}},
		{"deferred", func(t *testing.T, p *process, j store.Job) {
			p.begin(j)
			p.finish(store.Outcome{Job: j, State: store.Queued, Due: later, Kind: store.Deferred, Code: 451, Text: "later"})
			if jobs := p.claim(1); len(jobs) != 0 {
				t.Error("claimed before it is due")
			}
		}, store.Counts{Queued: 1, Deferred: 1}},
		{"throttled", func(t *testing.T, p *process, j store.Job) {
			p.finish(store.Outcome{Job: j, State: store.Queued, Due: later, Code: 454})
		}, store.Counts{Queued: 1}},
		{"released and claimed again", func(t *testing.T, p *process, j store.Job) {
			p.finish(store.Outcome{Job: j, State: store.Queued})
			if jobs := p.claim(1); len(jobs) != 1 || jobs[0].Attempt != 1 {
				t.Errorf("%+v", jobs)
			}
		}, store.Counts{Claimed: 1}},
		{"deferred, due, claimed", func(t *testing.T, p *process, j store.Job) {
			p.finish(store.Outcome{Job: j, State: store.Queued, Kind: store.Deferred})
			if jobs := p.claim(1); len(jobs) != 1 || jobs[0].Attempt != 2 || jobs[0].MessageID != j.MessageID {
				t.Errorf("%+v", jobs)
			}
		}, store.Counts{Claimed: 1}},
		{"an old claim's begin", func(t *testing.T, p *process, j store.Job) {
			p.finish(store.Outcome{Job: j, State: store.Queued, Kind: store.Deferred})
			p.claim(1)
			p.wantKept(0, "the fence let an old claim through", []store.Job{j}, sent(j))
		}, store.Counts{Claimed: 1}},
		{"another owner's begin", func(t *testing.T, p *process, j store.Job) {
			j.Owner++
			p.wantKept(0, "the fence let another owner through", []store.Job{j}, sent(j))
		}, store.Counts{Claimed: 1}},
		{"dead: claimed", func(t *testing.T, p *process, j store.Job) {
			if jobs := p.dies().recovers(1, 0).claim(1); len(jobs) != 1 || jobs[0].Attempt != 1 || jobs[0].MessageID != j.MessageID {
				t.Errorf("%+v", jobs)
			}
		}, store.Counts{Claimed: 1}},
		{"dead: sending", func(t *testing.T, p *process, j store.Job) {
			p.begin(j)
			if jobs := p.dies().recovers(0, 1).claim(1); len(jobs) != 0 {
				t.Errorf("%+v", jobs)
			}
		}, store.Counts{InDoubt: 1}},
		{"dead: deferred before", func(t *testing.T, p *process, j store.Job) {
			p.finish(store.Outcome{Job: j, State: store.Queued, Kind: store.Deferred})
			p.claim(1)
			p.dies().recovers(1, 0)
		}, store.Counts{Queued: 1, Deferred: 1}},
		{"dead: recovered once", func(t *testing.T, p *process, j store.Job) { p.begin(j); p.dies().recovers(0, 1).recovers(0, 0) }, store.Counts{InDoubt: 1}},
		{"dead: its begin", func(t *testing.T, p *process, j store.Job) {
			p.dies().recovers(1, 0)
			p.wantKept(0, "recovered, and begun by the one that lost it", []store.Job{j})
		}, store.Counts{Queued: 1}},
		{"dead: its begin, claimed by another", func(t *testing.T, p *process, j store.Job) {
			p.dies().recovers(1, 0).claim(1)
			p.wantKept(0, "claimed by another, and begun by the one that lost it", []store.Job{j}, sent(j))
		}, store.Counts{Claimed: 1}},
	})
}

// What the suppression list does to a claim, and outcomes to the list.
func testTransitionsOfTheList(t *testing.T, place func(testing.TB) Place) {
	tryTransitions(t, place, []transition{
		{"suppressed while it is sent: too late", func(t *testing.T, p *process, j store.Job) {
			p.begin(j)
			p.suppress("user0@example.com")
			p.finish(sent(j))
		}, store.Counts{Sent: 1}},
		{"deferred, suppressed, claimed", func(t *testing.T, p *process, j store.Job) {
			p.finish(store.Outcome{Job: j, State: store.Queued, Kind: store.Deferred, Code: 451})
			p.suppress("@example.com")
			if jobs := p.claim(1); len(jobs) != 0 {
				t.Errorf("%+v", jobs)
			}
			p.wantKept(0, "begun after it was suppressed", []store.Job{j}, sent(j))
		}, store.Counts{Suppressed: 1}},
		{"bounced, retried, claimed", func(t *testing.T, p *process, j store.Job) {
			p.finish(failed(j, store.Bounced))
			if n, err := p.Listed(t.Context(), store.Failed); n != 1 || err != nil {
				t.Errorf("%d listed, %v", n, err)
			}
			p.retries(store.Failed, 1)
			p.claim(1)
		}, store.Counts{Suppressed: 1}},
		{"bounced, retried, removed from the list, claimed", func(t *testing.T, p *process, j store.Job) {
			p.finish(failed(j, store.Bounced))
			p.retries(store.Failed, 1)
			if removed, err := p.queue.Unsuppress(t.Context(), []string{"user0@example.com", "nobody@example.com"}); err != nil || len(removed) != 1 {
				t.Errorf("%v, %v", removed, err)
			}
			p.claim(1)
		}, store.Counts{Claimed: 1}},
		{"another owner's bounce", func(t *testing.T, p *process, j store.Job) {
			j.Owner++
			p.finish(failed(j, store.Bounced))
			p.wantListed(false)
		}, store.Counts{Claimed: 1}},
		{"failed, and confirmed", func(t *testing.T, p *process, j store.Job) {
			p.finish(failed(j, store.Plain))
			p.wantListed(false)
			p.finish(failed(j, store.Confirmed))
			p.wantListed(true)
		}, store.Counts{Failed: 1}},
		{"failed, and revoked", func(t *testing.T, p *process, j store.Job) {
			p.finish(failed(j, store.Plain))
			p.finish(store.Outcome{Job: j, State: store.Queued, Kind: store.Revoked, Code: 550, Text: "no such user", Due: time.Now().Add(time.Hour)})
			p.wantListed(false)
		}, store.Counts{Queued: 1, Deferred: 1}},
		{"failed, revoked and claimed", func(t *testing.T, p *process, j store.Job) {
			p.finish(failed(j, store.Plain))
			p.finish(store.Outcome{Job: j, State: store.Queued, Kind: store.Revoked})
			if jobs := p.claim(1); len(jobs) != 1 || jobs[0].Attempt != 2 {
				t.Errorf("%+v", jobs)
			}
		}, store.Counts{Claimed: 1}},
		{"sent, and revoked: too late", func(t *testing.T, p *process, j store.Job) {
			p.begin(j)
			p.finish(sent(j))
			p.finish(store.Outcome{Job: j, State: store.Queued, Kind: store.Revoked})
		}, store.Counts{Sent: 1}},
		{"claimed, and revoked: nothing has failed", func(t *testing.T, p *process, j store.Job) {
			p.finish(store.Outcome{Job: j, State: store.Queued, Kind: store.Revoked})
		}, store.Counts{Claimed: 1}},
		{"failed, retried, claimed, and an old claim's confirmed", func(t *testing.T, p *process, j store.Job) {
			p.finish(store.Outcome{Job: j, State: store.Queued, Kind: store.Deferred})
			p.finish(failed(p.claim(1)[0], store.Plain))
			p.finish(failed(j, store.Confirmed))
			p.wantListed(false)
		}, store.Counts{Failed: 1}},
	})
}

// What a person decides.
func testTransitionsByPerson(t *testing.T, place func(testing.TB) Place) {
	tryTransitions(t, place, []transition{
		{"retry in doubt", func(t *testing.T, p *process, j store.Job) {
			p.begin(j)
			p.dies().recovers(0, 1).retries(store.InDoubt, 1)
		}, store.Counts{Queued: 1}},
		{"retry failed", func(t *testing.T, p *process, j store.Job) {
			p.finish(store.Outcome{Job: j, State: store.Failed, Code: 550})
			p.retries(store.InDoubt, 0)
			p.retries(store.Failed, 1)
		}, store.Counts{Queued: 1}},
		{"retry failed, claimed: attempts are counted anew", func(t *testing.T, p *process, j store.Job) {
			p.finish(store.Outcome{Job: j, State: store.Queued, Kind: store.Deferred})
			p.finish(store.Outcome{Job: p.claim(1)[0], State: store.Failed, Code: 550})
			p.retries(store.Failed, 1)
			if jobs := p.claim(1); len(jobs) != 1 || jobs[0].Attempt != 1 || jobs[0].MessageID != j.MessageID {
				t.Errorf("%+v", jobs)
			}
		}, store.Counts{Claimed: 1}},
		{"retry sent", func(t *testing.T, p *process, j store.Job) {
			p.begin(j)
			p.finish(sent(j))
			p.retries(store.Failed, 0)
			p.retries(store.InDoubt, 0)
		}, store.Counts{Sent: 1}},
	})
}
