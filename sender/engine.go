package sender

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"mailblast/sender/pace"
	"mailblast/store"
)

// An engine is one run. The fields are set before the goroutines start, or are safe for all of them.
type engine struct {
	opt         Options
	queue       Queue
	work, claim context.Context
	stop        context.CancelCauseFunc // ends claim, with the reason
	offering    context.Context         // ends with claim, or when no more may be offered; what has a permit goes on
	stopOffers  context.CancelCauseFunc // ends offering, with the reason

	feeder   *feeder
	jobs     chan store.Job // from the feeder to the workers; closed by the feeder
	domains  *pace.Domains[store.Job]
	workers  []*worker // of all lanes
	recorder *recorder
	settled  chan struct{} // signals that outcomes were recorded, or that something parked may go

	lanes   []*lane
	lanesMu sync.Mutex        // guards the outage of each lane, and missed
	missed  map[string]string // why jobs that are pinned to a server stay for the next run, by its name
	turns   turns

	held     atomic.Int64              // jobs claimed whose outcome is not recorded yet
	returned atomic.Int64              // jobs put back untried
	firstUp  atomic.Pointer[time.Time] // since when there are sessions, if there are
}

// newEngine makes the run whose contexts are work and claim. stop ends claim.
func newEngine(work, claim context.Context, stop context.CancelCauseFunc, q Queue, routes []Route, o Options) *engine {
	e := &engine{
		opt: o, queue: q, work: work, claim: claim, stop: stop,
		settled: make(chan struct{}, 1), turns: turns{changed: make(chan struct{})}, missed: map[string]string{},
	}
	e.offering, e.stopOffers = context.WithCancelCause(claim)
	e.domains = pace.NewDomains[store.Job](o.PerDomain, o.DomainLimits, func() int { return int(o.Stats.Connections.Load()) })
	e.recorder = newRecorder(e)
	e.feeder = &feeder{engine: e}
	for _, r := range routes {
		l := newLane(e, r, len(routes))
		e.lanes = append(e.lanes, l)
		for range l.route.Connections {
			e.workers = append(e.workers, &worker{lane: l, engine: e})
		}
	}
	// What the workers compose ahead is taken off the buffer: no more rows are claimed than two batches and three a connection, and those
	// of a slow domain that go back to the queue at that moment.
	e.jobs = make(chan store.Job, max(1, o.Batch-len(e.workers)))
	return e
}

// drain runs the goroutines until nothing is left to do, and what they did is written down. It returns why that is all.
func (e *engine) drain() error {
	var recording, working, reporting sync.WaitGroup
	recording.Go(e.recorder.run)
	learning, learned := context.WithCancel(e.work)
	defer learned()
	for _, l := range e.lanes {
		if l.route.Learned != nil {
			reporting.Go(func() { l.reportLearned(learning) })
		}
	}
	for _, w := range e.workers {
		working.Go(w.run)
	}
	err := e.feeder.feed()
	if cause := context.Cause(e.claim); err == nil && cause != nil {
		err = stopped(cause)
	}
	if err == nil {
		err = e.pinnedLeft()
	}
	e.stop(nil) // a worker that waits for a better moment has nothing to wait for
	working.Wait()
	learned()
	reporting.Wait()
	for j := range e.jobs { // what was handed out and not taken
		e.putBack(j)
	}
	e.returnPinned(e.putBack)
	for _, l := range e.lanes {
		l.endBelief()
	}
	e.recorder.end()
	recording.Wait()
	if e.recorder.failed != nil {
		return e.recorder.failed
	}
	return err
}

// returnGrants gives back what was not used of the limits.
func (e *engine) returnGrants(ctx context.Context) error {
	var all error
	for _, l := range e.lanes {
		all = errors.Join(all, l.pace.End(ctx))
	}
	if all = errors.Join(all, e.domains.End(ctx)); all != nil {
		return fmt.Errorf("give back what was not used of the limits: %w", all)
	}
	return nil
}

// stopped is the error for why no more was claimed.
func stopped(cause error) error {
	if s, ok := cause.(*StopError); ok {
		return s
	}
	return &StopError{Reason: cause.Error(), Err: cause}
}

// done notes that the workers have one job less, as pace.Domains.Done does, and wakes the feeder if it has another one for that.
func (e *engine) done(j store.Job, by pace.ServiceTime, answered bool, use pace.Use) {
	if e.domains.Done(j.Domain, by, answered, use) {
		e.wakeFeeder()
	}
}

// unhold takes one off what is held, for which no outcome comes.
func (e *engine) unhold() {
	e.held.Add(-1)
	e.wakeFeeder()
}

func (e *engine) wakeFeeder() {
	select {
	case e.settled <- struct{}{}:
	default:
	}
}

// putBack returns a job as if it had not been claimed: nothing of it was sent, the attempt does not count.
func (e *engine) putBack(j store.Job) {
	e.done(j, pace.ServiceTime{}, false, pace.Untried)
	e.returned.Add(1)
	e.recorder.finish(store.Outcome{Job: j, State: store.Queued})
}

// retry calls write again and again for half a minute if that may help, unless ctx ends: a disk may be full for a moment.
func (e *engine) retry(ctx context.Context, write func() (again bool, err error)) error {
	for try := 0; ; try++ {
		again, err := write()
		if err == nil || !again || try == 5 || ctx.Err() != nil {
			return err
		}
		e.opt.Log.Warn("the queue cannot be written, trying again", "error", err)
		_ = pace.Sleep(ctx, time.Second<<try, nil)
	}
}
