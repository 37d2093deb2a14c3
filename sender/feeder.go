package sender

import (
	"context"
	"fmt"
	"time"

	"mailblast/sender/pace"
	"mailblast/store"
)

// The feeder claims jobs, hands them to the workers, and keeps for later what may not go yet.

// feed owns the schedule. It returns when nothing more is to be handed out, with jobs closed.
func (e *engine) feed() (err error) {
	defer close(e.jobs)
	defer func() {
		e.domains.Clear(func(j store.Job) { e.takeBack([]store.Job{j}) })
		if err == nil && e.claim.Err() == nil && e.offering.Err() != nil {
			err = e.finish()
		}
	}()
	claimed := 0
	for e.offering.Err() == nil {
		held := e.held.Load() // before the look at anything else: what is settled after it wakes us
		e.domains.Behind(e.behind)
		free, err := e.domains.Release(e.offering, e.hand)
		if err != nil {
			return fmt.Errorf("limits of a domain: %w", err)
		}
		n := e.opt.Batch
		if e.opt.Limit > 0 {
			n = min(n, e.opt.Limit-claimed+int(e.returned.Load()))
		}
		limited := n <= 0
		if e.domains.Parked() >= e.opt.Batch {
			e.domains.Postpone(time.Now(), e.opt.Batch, e.upSince(), e.waiting(), e.putAside)
		}
		full := e.domains.Parked()+e.pinned() >= e.opt.Batch
		if n = min(n, e.opt.Batch-e.domains.Parked()-e.pinned()); e.hasty {
			n = 0
		}
		var jobs []store.Job
		if n > 0 {
			err = e.stubbornly(e.claim, func() (again bool, err error) {
				jobs, err = e.queue.Claim(e.claim, store.Want{N: n, Route: e.onlyRoute()})
				return store.Transient(err), err
			})
			if err != nil && e.claim.Err() != nil {
				return nil
			}
			if err != nil {
				return fmt.Errorf("claim: %w", err)
			}
		}
		if len(jobs) == 0 {
			more, err := e.idle(held, free, limited, full)
			if err != nil || !more {
				return err
			}
			continue
		}
		claimed += len(jobs)
		e.held.Add(int64(len(jobs)))
		asides := e.asides
		for i, j := range jobs {
			admission, due, err := e.domains.Place(e.offering, j.Domain, j)
			switch {
			case err != nil:
				e.takeBack(jobs[i:])
				return fmt.Errorf("limits of a domain: %w", err)
			case admission == pace.Postponed:
				e.putAside(j, due)
			case admission == pace.Admitted && !e.hand(j):
				e.takeBack(jobs[i+1:])
				return nil
			}
		}
		e.hasty = e.asides-asides == len(jobs)
	}
	return nil
}

// asidePause is between two claims that bring only rows that are put aside.
const asidePause = 10 * time.Millisecond

// putAside gives a job of a slow domain, or one that is pinned to a slow server, back to the queue for a while.
func (e *engine) putAside(j store.Job, due time.Time) {
	if due.After(e.aside) {
		e.aside = due
	}
	e.asides++
	e.returned.Add(1)
	e.recorder.finish(store.Outcome{Job: j, State: store.Queued, Due: due})
}

// hand gives an admitted job to the workers; false: it was put back, as there are to be no more.
func (e *engine) hand(j store.Job) bool {
	if j.Pin != "" && !e.goesAnywhere(j) {
		return true
	}
	select {
	case e.jobs <- j:
		return true
	case <-e.offering.Done():
		e.putBack(j)
		return false
	}
}

// takeBack returns jobs that were not admitted.
func (e *engine) takeBack(jobs []store.Job) {
	for _, j := range jobs {
		e.returned.Add(1)
		e.recorder.finish(store.Outcome{Job: j, State: store.Queued})
	}
}

// finish takes back what no worker has taken, and waits for what may still be offered. It returns why that is all.
func (e *engine) finish() error {
	e.releasePinned(e.putBack)
	for e.held.Load() > 0 {
		select {
		case j := <-e.jobs:
			e.putBack(j)
		case <-e.settled:
		case <-e.claim.Done():
			return nil
		}
	}
	return stopped(context.Cause(e.offering))
}

// idle waits until there may be something to claim, or something parked is free, or with limited, until a job comes back untried. It reports false
// when there is nothing to wait for.
func (e *engine) idle(held int64, free time.Time, limited, full bool) (more bool, err error) {
	counts, due, err := e.queue.Pending(e.claim)
	if err != nil {
		if e.claim.Err() != nil {
			return false, nil
		}
		return false, fmt.Errorf("look for what is due: %w", err)
	}
	wait := time.Until(due)
	worth := counts.Queued > 0 && (wait <= e.opt.Wait || time.Now().Before(e.aside))
	if held == 0 && !worth {
		return false, nil
	}
	if held == 0 && limited {
		return false, &StopError{Reason: fmt.Sprintf("the limit of %d messages for this run is reached", e.opt.Limit)}
	}
	var timer <-chan time.Time
	switch {
	case limited:
	case e.hasty:
		timer, e.hasty = time.After(asidePause), false
	case full: // the look at what is stuck makes room, or something comes to an end
	case worth:
		timer = time.After(max(wait, 0) + time.Millisecond)
	}
	var freed <-chan time.Time
	if !free.IsZero() {
		freed = time.After(max(time.Until(free), time.Millisecond))
	}
	var stuck <-chan time.Time
	if held > 0 {
		ticker := time.NewTicker(stuckAfter)
		defer ticker.Stop()
		stuck = ticker.C
	}
	e.recorder.hurried(true)
	defer e.recorder.hurried(false)
	for {
		select {
		case <-timer:
		case <-freed:
		case <-e.settled:
		case <-e.offering.Done():
		case <-stuck:
			returned := e.releasePinned(e.pinAside) // others of their domains may wait for them
			for _, w := range e.workers {
				returned = w.returnUpcoming() || returned
			}
			if !returned && e.domains.Parked() == 0 { // some of what is parked may go now, or has to make room
				continue
			}
		}
		return true, nil
	}
}

// stuckAfter is how long nothing comes to an end, while others have nothing to do, until what a worker has in store for later
// is given to them.
const stuckAfter = 250 * time.Millisecond

// upSince is since when there are sessions; zero: there are none.
func (e *engine) upSince() (t time.Time) {
	if first := e.firstUp.Load(); first != nil && e.opt.Stats.Connections.Load() > 0 {
		t = *first
	}
	return t
}

// waiting is how long messages to each domain wait for a server.
func (e *engine) waiting() map[string]pace.ServiceTime {
	all := map[string]pace.ServiceTime{}
	for _, w := range e.workers {
		if t := w.waits.Load(); t != nil {
			s := all[t.Domain]
			s.Add(pace.ServiceTime{Took: time.Since(t.since), N: 1})
			all[t.Domain] = s
		}
	}
	return all
}

// behind counts the messages to each domain that wait because the server has not answered one to another domain for a while.
func (e *engine) behind() map[string]int {
	all := map[string]int{}
	for _, w := range e.workers {
		first := w.waits.Load()
		if first == nil || time.Since(first.since) < stuckAfter {
			continue
		}
		for t := first.next.Load(); t != nil; t = t.next.Load() {
			if t.Domain != first.Domain {
				all[t.Domain]++
			}
		}
	}
	return all
}
