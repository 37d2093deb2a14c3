package sender

import (
	"context"
	"fmt"
	"time"

	"mailblast/sender/pace"
	"mailblast/store"
)

// A feeder owns the schedule: it claims jobs, hands them to the workers, and keeps for later what may not go yet. Its fields belong to its
// goroutine.
type feeder struct {
	engine    *engine
	claimed   int       // jobs, in all
	postponed int       // jobs of those that went back to the queue for a while
	lastDue   time.Time // of those
	fruitless bool      // the last claim brought nothing else
}

const (
	// fruitlessPause is between two claims that bring only jobs that are postponed.
	fruitlessPause = 10 * time.Millisecond

	// stuckAfter is how long nothing comes to an end until the messages that workers have composed ahead are given to workers that have nothing
	// to do.
	stuckAfter = 250 * time.Millisecond
)

// feed returns when nothing more is to be handed out, with jobs closed.
func (f *feeder) feed() (err error) {
	e := f.engine
	defer close(e.jobs)
	defer func() {
		e.domains.Clear(func(j store.Job) { f.takeBack(j) })
		if err == nil && e.claim.Err() == nil && e.offering.Err() != nil {
			err = f.finish()
		}
	}()
	for e.offering.Err() == nil {
		held := e.held.Load() // first of all: what is settled after this wakes the feeder
		e.domains.Behind(e.behind)
		free, err := e.domains.Release(e.offering, f.hand)
		if err != nil {
			return fmt.Errorf("limits of a domain: %w", err)
		}
		n := e.opt.Batch
		if e.opt.Limit > 0 {
			n = min(n, e.opt.Limit-f.claimed+int(e.returned.Load()))
		}
		limited := n <= 0
		if e.domains.Parked() >= e.opt.Batch {
			e.domains.Postpone(time.Now(), e.opt.Batch, e.connectedSince(), e.waiting(), f.postpone)
		}
		room := e.opt.Batch - e.domains.Parked() - e.pinned()
		var jobs []store.Job
		if n = min(n, room); n > 0 && !f.fruitless {
			if jobs, err = f.claim(n); err != nil && e.claim.Err() != nil {
				return nil
			} else if err != nil {
				return fmt.Errorf("claim: %w", err)
			}
		}
		more := false
		if len(jobs) > 0 {
			more, err = f.place(jobs)
		} else {
			more, err = f.idle(held, free, limited, room <= 0)
		}
		if err != nil || !more {
			return err
		}
	}
	return nil
}

func (f *feeder) claim(n int) (jobs []store.Job, err error) {
	err = f.engine.retry(f.engine.claim, func() (again bool, err error) {
		jobs, err = f.engine.queue.Claim(f.engine.claim, store.Want{N: n, Route: f.engine.onlyRoute()})
		return store.Transient(err), err
	})
	return jobs, err
}

// place hands claimed jobs to the workers, or keeps them for later. It reports false when there are to be no more.
func (f *feeder) place(jobs []store.Job) (more bool, err error) {
	e := f.engine
	f.claimed += len(jobs)
	e.held.Add(int64(len(jobs)))
	before := f.postponed
	for i, j := range jobs {
		admission, due, err := e.domains.Place(e.offering, j.Domain, j)
		switch {
		case err != nil:
			f.takeBack(jobs[i:]...)
			return false, fmt.Errorf("limits of a domain: %w", err)
		case admission == pace.Postponed:
			f.postpone(j, due)
		case admission == pace.Admitted && !f.hand(j):
			f.takeBack(jobs[i+1:]...)
			return false, nil
		}
	}
	f.fruitless = f.postponed-before == len(jobs)
	return true, nil
}

// postpone gives a job of a slow domain, or one that is pinned to a slow server, back to the queue for a while.
func (f *feeder) postpone(j store.Job, due time.Time) {
	if due.After(f.lastDue) {
		f.lastDue = due
	}
	f.postponed++
	f.engine.returned.Add(1)
	f.engine.recorder.finish(store.Outcome{Job: j, State: store.Queued, Due: due})
}

// hand gives an admitted job to the workers; false: it was put back, as there are to be no more.
func (f *feeder) hand(j store.Job) bool {
	e := f.engine
	if j.Pin != "" && j.Pin != e.onlyRoute() {
		f.handPinned(j)
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
func (f *feeder) takeBack(jobs ...store.Job) {
	for _, j := range jobs {
		f.engine.returned.Add(1)
		f.engine.recorder.finish(store.Outcome{Job: j, State: store.Queued})
	}
}

// finish takes back what no worker has taken, and waits for what may still be offered. It returns why that is all.
func (f *feeder) finish() error {
	e := f.engine
	e.returnPinned(e.putBack)
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

// idle waits until there may be something to claim, or a parked job may go, or where the run's limit is reached, until a job comes back untried. It
// reports false when there is nothing to wait for.
func (f *feeder) idle(held int64, free time.Time, limited, full bool) (more bool, err error) {
	e := f.engine
	counts, due, err := e.queue.Pending(e.claim)
	if err != nil {
		if e.claim.Err() != nil {
			return false, nil
		}
		return false, fmt.Errorf("look for what is due: %w", err)
	}
	wait := time.Until(due)
	worth := counts.Queued > 0 && (wait <= e.opt.Wait || time.Now().Before(f.lastDue))
	if held == 0 && !worth {
		return false, nil
	}
	if held == 0 && limited {
		return false, &StopError{Reason: fmt.Sprintf("the limit of %d messages for this run is reached", e.opt.Limit)}
	}
	var timer, freed, stuck <-chan time.Time
	switch {
	case limited:
	case f.fruitless:
		timer, f.fruitless = time.After(fruitlessPause), false
	case full: // the look at what is stuck makes room, or something comes to an end
	case worth:
		if wait > e.opt.Wait { // what was postponed is back by then, unless the clock was set meanwhile
			wait = min(wait, time.Until(f.lastDue))
		}
		timer = time.After(max(wait, 0) + time.Millisecond)
	}
	if !free.IsZero() {
		freed = time.After(max(time.Until(free), time.Millisecond))
	}
	if held > 0 {
		ticker := time.NewTicker(stuckAfter)
		defer ticker.Stop()
		stuck = ticker.C
	}
	e.recorder.urgent(true)
	defer e.recorder.urgent(false)
	for {
		select {
		case <-timer:
		case <-freed:
		case <-e.settled:
		case <-e.offering.Done():
		case <-stuck:
			if !f.unstick() && e.domains.Parked() == 0 { // where jobs are parked, some may go now, or have to make room
				continue
			}
		}
		return true, nil
	}
}

// unstick takes back what waits for busy workers, as other jobs of the same domains may wait for it. It reports whether there was anything.
func (f *feeder) unstick() (any bool) {
	any = f.engine.returnPinned(f.postponePinned)
	for _, w := range f.engine.workers {
		any = w.returnPrepared() || any
	}
	return any
}

// connectedSince is since when there has been a session; zero: there is none.
func (e *engine) connectedSince() (t time.Time) {
	if first := e.firstUp.Load(); first != nil && e.opt.Stats.Connections.Load() > 0 {
		t = *first
	}
	return t
}

// waiting is how long messages to each domain wait for a server.
func (e *engine) waiting() map[string]pace.ServiceTime {
	all := map[string]pace.ServiceTime{}
	for _, w := range e.workers {
		if t := w.awaited.Load(); t != nil {
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
		first := w.awaited.Load()
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
