package sender

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"mailblast/campaign/mail"
	"mailblast/sender/pace"
	"mailblast/store"
)

// idleMost is how long a session stays open with nothing to send. Servers allow more: RFC 5321 section 4.5.3.2.7 asks
// for 5 minutes, and many give less.
const idleMost = 10 * time.Second

// windowPoll is how often a worker asks again whether it may have a session.
const windowPoll = 250 * time.Millisecond

// A worker owns one session and carries messages over it. Its fields belong to its goroutine; the feeder uses only
// those that are atomic.
type worker struct {
	lane   *lane
	engine *engine

	composers []Compose   // used in turn, as a composer overwrites its last message
	turn      int         // the composer that was used last
	permit    pace.Permit // for the message that is composed next

	// prepared is a message that was composed ahead while an answer is awaited. Its row is claimed and not begun. The
	// feeder takes it away if the answer does not come and others have nothing to do.
	prepared atomic.Pointer[task]

	awaited atomic.Pointer[task] // the message whose answer the server owes next; the feeder sees since when

	session   Session
	unhook    func() bool // removes the hook that closes the session when work ends
	pipe      []*task     // messages that were taken up for the session and have not ended, the oldest first
	inFlight  int         // the first so many of pipe were sent or refused, and not answered
	carried   int         // messages sent over the session
	completed int         // those of them whose end the server has answered
	spent     bool        // the server takes no more messages in the session
	admitted  bool        // the server's window has a place for a session

	failures   int   // of the server in a row
	sentBefore int64 // messages that all workers of the server had sent when the failures began
}

// A task is a job with its message.
type task struct {
	store.Job
	mail.Message
	kept     chan bool // brings the recorder's answer to the begin; nil until the begin was asked for
	answered bool      // the answer was read from kept:
	sending  bool      // the begin is on the disk
	ready    bool      // the session lets it be sent
	permit   pace.Permit
	offered  time.Time            // zero: not yet
	since    time.Time            // since when the server owes its answer next
	pinned   bool                 // only this server may take it
	next     atomic.Pointer[task] // the one behind it on the connection; nil: none yet
}

// run works until there is nothing more to do.
func (w *worker) run() {
	defer w.hangUp()
	defer w.returnPrepared()
	for w.work() {
	}
}

// work takes a job and carries its message over the session, and with it those that are to be had at once. It dials if
// there is no session. It reports false when there is nothing more to do.
func (w *worker) work() bool {
	if until, out := w.lane.out(); out {
		return w.stayOut(until)
	}
	if w.failures > 0 && w.sleep(backoff(w.failures, 500*time.Millisecond, time.Minute), nil) != nil {
		return false
	}
	if w.admitted = w.admitted || w.lane.window.Enter(time.Now()); !w.admitted {
		w.returnPrepared()
		return w.sleep(windowPoll, nil) == nil
	}
	t := w.prepared.Swap(nil)
	if t != nil && !w.lane.pace.Holds(t.permit) {
		w.lane.pace.Return(t.permit, pace.Untried)
		if !w.mayOffer(t.Job) {
			return true
		}
		t.permit = w.permit
	}
	if t == nil {
		if w.engine.offering.Err() != nil {
			return false
		}
		// If others could take the message, it does not wait for a server that may hang for minutes.
		if (w.failures > 0 || w.lane.up.Load() == 0) && w.lane.othersTake() && !w.dial() {
			return true
		}
		j, ok := w.take()
		if !ok {
			return false
		}
		if !w.mayOffer(j) {
			return true
		}
		if t = w.prepare(j); t == nil {
			return true
		}
	}
	if w.engine.claim.Err() != nil || !w.dial() {
		w.putBack(t)
		return true
	}
	w.pipeline(t)
	return true
}

// await notes that the answer to t is the next that the server owes, unless this was noted before.
func (w *worker) await(t *task) {
	if w.awaited.Load() != t {
		t.since = time.Now()
		w.awaited.Store(t)
	}
}

// served returns how long the server took for a job that has ended.
func (w *worker) served(j store.Job) pace.ServiceTime {
	t := w.awaited.Load()
	if t == nil || t.ID != j.ID {
		return pace.ServiceTime{}
	}
	w.awaited.Store(nil)
	return pace.ServiceTime{Took: time.Since(t.since), N: 1}
}

// sleep sleeps for d unless it is woken or offering ends. A session that would be idle for too long meanwhile is
// closed.
func (w *worker) sleep(d time.Duration, woken <-chan struct{}) error {
	if d > idleMost {
		w.hangUp()
	}
	return pace.Sleep(w.engine.offering, d, woken)
}

// take waits for a job. A session that has nothing to do for a while is closed.
func (w *worker) take() (store.Job, bool) {
	if w.engine.claim.Err() != nil {
		return store.Job{}, false
	}
	w.lane.countWorker(&w.lane.turn.idle, 1)
	defer w.lane.countWorker(&w.lane.turn.idle, -1)
	if j, pinned, ok := w.lane.awaitTurn(w.engine.claim); pinned || !ok {
		return j, ok
	}
	var idle <-chan time.Time
	if w.session != nil {
		timer := time.NewTimer(idleMost)
		defer timer.Stop()
		idle = timer.C
	}
	for {
		select {
		case j, ok := <-w.engine.jobs:
			return j, ok
		case j := <-w.lane.pinned:
			return j, true
		case <-w.engine.claim.Done():
			return store.Job{}, false
		case <-idle:
			w.hangUp()
			idle = nil
		}
	}
}

// mayOffer waits until the message of a job may be offered. If that takes too long the job is put back, and noPermit
// decides what follows.
func (w *worker) mayOffer(j store.Job) bool {
	var err error
	if w.permit, err = w.lane.pace.Wait(w.engine.offering, w.sleepForLimits, int(w.engine.held.Load())); err == nil {
		return true
	}
	w.engine.putBack(j)
	w.noPermit(err)
	return false
}

// noPermit draws the consequences when nothing may be offered for longer than a message waits: the server is left out,
// or only this worker sleeps while the others take the message, or nobody offers any more, as the limits cannot be
// kept.
func (w *worker) noPermit(err error) {
	var early *pace.NotBeforeError
	var delay pace.DelayError
	switch {
	case errors.As(err, &early):
		w.lane.leaveOut(&StopError{Reason: early.Error(), Until: early.Until}, early.Until, w.engine.stopOffers)
	case errors.As(err, &delay):
		w.sleepForLimits(time.Duration(delay), nil)
	case w.engine.offering.Err() == nil:
		w.engine.stopOffers(fmt.Errorf("the limits in the queue cannot be kept, so nothing more is sent: %w", err))
	}
}

// sleepForLimits sleeps. Meanwhile the other servers need not wait for this one to take its part.
func (w *worker) sleepForLimits(d time.Duration, woken <-chan struct{}) error {
	if d > 0 {
		w.lane.countWorker(&w.lane.turn.limited, 1)
		defer w.lane.countWorker(&w.lane.turn.limited, -1)
	}
	return w.sleep(d, woken)
}

// next returns the composed message of a job that is there now and may be offered now, nil if there is none.
func (w *worker) next() *task {
	if w.engine.claim.Err() != nil || len(w.engine.jobs)+len(w.lane.pinned) == 0 {
		return nil
	}
	if _, out := w.lane.out(); out || !w.lane.takeTurn(time.Now()) {
		return nil
	}
	var ok bool
	if w.permit, ok = w.lane.pace.Try(w.engine.offering, int(w.engine.held.Load())); !ok {
		w.lane.returnTurn()
		return nil
	}
	select { // nobody else may take these
	case j := <-w.lane.pinned:
		return w.prepare(j)
	default:
	}
	select {
	case j, ok := <-w.engine.jobs:
		if ok {
			return w.prepare(j)
		}
	default:
	}
	w.lane.returnTurn()
	w.lane.pace.Return(w.permit, pace.Untried)
	return nil
}

// ahead returns the message that was composed ahead, or else next; nil if none may be offered now.
func (w *worker) ahead() *task {
	if w.engine.claim.Err() != nil {
		return nil
	}
	t := w.prepared.Swap(nil)
	if t == nil {
		return w.next()
	}
	if !w.lane.pace.Holds(t.permit) {
		w.prepared.Store(t) // for when it may be offered again
		return nil
	}
	return t
}

// returnPrepared puts back the message that was composed ahead, and reports whether there was one. The feeder calls it
// too.
func (w *worker) returnPrepared() bool {
	t := w.prepared.Swap(nil)
	if t != nil {
		w.putBack(t)
	}
	return t != nil
}

// composersLeast is enough for the message that is sent, the one behind it, and the one that is composed ahead.
const composersLeast = 3

// prepare composes the message of a job. If that fails the recipient has failed.
func (w *worker) prepare(j store.Job) *task {
	most := composersLeast
	if w.session != nil {
		most = max(most, min(w.session.Depth(), groupMost))
	}
	for len(w.composers) < most {
		w.composers = append(w.composers, w.engine.opt.Compose())
	}
	turn := (w.turn + 1) % len(w.composers)
	m, err := w.composers[turn](j)
	if err != nil {
		w.lane.pace.Return(w.permit, pace.Untried)
		w.settle(store.Outcome{Job: j, State: store.Failed, Text: "not sent: " + err.Error()})
		return nil
	}
	w.turn = turn
	t := &task{Job: j, Message: m, permit: w.permit, pinned: j.Pin != ""}
	if w.engine.severalRoutes() {
		t.Route = w.lane.route.Name
	}
	return t
}
