package sender

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"mailblast/campaign/mail"
	"mailblast/sender/pace"
	"mailblast/sender/reply"
	"mailblast/store"
)

// idleMost is how long a session is kept open with nothing to send: well below what servers allow (RFC 5321
// 4.5.3.2.7 asks for 5 minutes, many give less).
const idleMost = 10 * time.Second

// gatePoll is how often a worker that may have no session looks whether it may.
const gatePoll = 250 * time.Millisecond

// A worker owns one session and sends one message after the other. Its fields belong to its goroutine.
type worker struct {
	lane    *lane
	engine  *engine
	compose []Compose // in turn: a message must not be written over before it was sent
	turn    int

	// The message after the next one, composed while a reply is awaited; its row is claimed and not begun. The feeder takes it
	// away when the reply does not come and others have nothing to do.
	upcoming atomic.Pointer[task]

	waits atomic.Pointer[task] // the message for which the server's answer is awaited; for the feeder to see how long

	session  Session
	unhook   func() bool // of the hook that cuts the session when work ends
	carried  int         // messages sent over the session
	ended    int         // those of them to whose end the server has replied
	under    []*task     // pushed over it and not answered, the oldest first
	over     bool        // the server wants no more of the session
	inside   bool        // the window: it may have a session
	pass     pace.Permit // for the message that is composed next
	failures int         // of the server in a row

	sentBefore int64 // messages that all workers of the server had sent when the failures began
}

// A task is a job with its message.
type task struct {
	store.Job
	mail.Message
	kept    chan bool // brings the recorder's answer to its begin; nil before that was asked for
	pass    pace.Permit
	offered time.Time
	since   time.Time            // when the server had nothing else to answer before it
	pinned  bool                 // no other server may take it
	next    atomic.Pointer[task] // the one behind it on the connection; nil: none yet
}

func (w *worker) run() {
	defer w.hangUp()
	defer w.returnUpcoming()
	var current *task
	for {
		if current == nil {
			var ok bool
			if current, ok = w.start(); !ok {
				return
			}
			continue
		}
		current = w.send(current)
	}
}

// start takes a job and opens its message on the session, dialling first where there is none. It returns a task for whose
// content the server waits, or nil when this one came to an end before that. It reports false when there is nothing more
// to do.
func (w *worker) start() (*task, bool) {
	if until, out := w.lane.out(); out {
		return nil, w.stayOut(until)
	}
	if w.failures > 0 && w.sleep(backoff(w.failures, 500*time.Millisecond, time.Minute), nil) != nil {
		return nil, false
	}
	if w.inside = w.inside || w.lane.window.Enter(time.Now()); !w.inside {
		w.returnUpcoming()
		return nil, w.sleep(gatePoll, nil) == nil
	}
	t := w.upcoming.Swap(nil)
	if t != nil && !w.lane.pace.Holds(t.pass) {
		w.lane.pace.Return(t.pass, pace.Untried)
		if !w.mayOffer(t.Job) {
			return nil, true
		}
		t.pass = w.pass
	}
	if t == nil {
		if w.engine.offering.Err() != nil {
			return nil, false
		}
		// Where others could take the message it does not wait for a server that is not known to be well: one may hang for minutes.
		if (w.failures > 0 || w.lane.up.Load() == 0) && w.lane.othersTake() && !w.dial() {
			return nil, true
		}
		j, ok := w.take()
		if !ok {
			return nil, false
		}
		if !w.mayOffer(j) {
			return nil, true
		}
		if t = w.prepare(j); t == nil {
			return nil, true
		}
	}
	if w.engine.claim.Err() != nil || !w.dial() {
		w.untried(t)
		return nil, true
	}
	t.offered = time.Now()
	if w.lane.route.Pipeline > 1 && w.session.Chunking() {
		w.stream(t)
		return nil, true
	}
	w.session.Offer(&t.Message)
	if !w.ready(t) {
		return nil, true
	}
	return t, true
}

// send sends the content of current, for which the server waits, as soon as its begin is recorded, together with the envelope
// of the next message if one can be had at once. It returns the next one when the server waits for its content.
//
// The next message's begin is asked for while the reply to current is on its way, or, where that would be long before the
// disk had answered, together with the begin of current, so that a connection waits for the disk once for two messages. Either
// way the outcome of the message before current has been handed to the recorder by then. So if the process dies, at most
// these two are `sending`: that is the bound of two in doubt for each connection. If the connection dies, the next one is known
// not to have been sent.
func (w *worker) send(current *task) *task {
	w.carried++
	var next *task
	var nextMessage *mail.Message
	if w.room() > 0 && w.engine.claim.Err() == nil {
		if next = w.upcoming.Swap(nil); next == nil {
			next = w.next()
		} else if !w.lane.pace.Holds(next.pass) {
			w.upcoming.Store(next) // for when it may be offered again
			next = nil
		}
	}
	if next != nil {
		next.offered = time.Now()
		nextMessage = &next.Message
		current.next.Store(next)
	}
	switch slow := w.engine.recorder.slow.Load(); {
	case current.kept != nil:
	case slow && next != nil:
		w.engine.recorder.begin(current, next)
	default:
		w.engine.recorder.begin(current)
	}
	if !<-current.kept {
		w.lost(current)
		w.unsent(next)
		return nil
	}
	gone, err := w.session.Send(&current.Message, nextMessage)
	switch {
	case err != nil && gone:
		w.doubt(current, err)
	case err != nil:
		w.broken(current, err)
	default:
		if next != nil {
			if next.kept == nil && !w.engine.recorder.slow.Load() {
				w.engine.recorder.begin(next)
			}
			if w.upcoming.Load() == nil {
				w.upcoming.Store(w.next())
			}
		}
		var r reply.Reply
		if r, err = w.session.Result(); err != nil {
			w.doubt(current, err)
		} else {
			w.answered(current, reply.Dot, r)
		}
	}
	switch {
	case next == nil:
	case err != nil || w.session.Broken(): // or the reply was a farewell
		w.unsent(next)
	case w.ready(next):
		return next
	}
	return nil
}

// ready reads the server's answer to the envelope of t, and ends t unless the server waits for its content.
func (w *worker) ready(t *task) bool {
	w.await(t)
	stage, r, err := w.session.Ready()
	if err == nil && r.Code == 354 {
		return true
	}
	t.begun()
	switch {
	case err != nil && (stage == reply.Mail || stage == reply.Rset):
		// The connection was lost before the server had seen the recipient.
		w.session.Close()
		w.untried(t)
		w.failed(err)
	case err != nil:
		w.broken(t, err)
	default:
		w.answered(t, stage, r)
	}
	return false
}

// await notes that the server has nothing else to answer before t, unless it is noted.
func (w *worker) await(t *task) {
	if w.waits.Load() != t {
		t.since = time.Now()
		w.waits.Store(t)
	}
}

// served is what the server did for a job that has ended.
func (w *worker) served(j store.Job) pace.ServiceTime {
	t := w.waits.Load()
	if t == nil || t.ID != j.ID {
		return pace.ServiceTime{}
	}
	w.waits.Store(nil)
	return pace.ServiceTime{Took: time.Since(t.since), N: 1}
}

// sleep sleeps for d unless it is woken or offering ends. A session that would be idle for too long meanwhile is closed.
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

// mayOffer waits until the message of a job may be offered. If that takes too long the job is put back: for the others when it is only a
// while, and else nobody offers any more over this server.
func (w *worker) mayOffer(j store.Job) bool {
	var err error
	if w.pass, err = w.lane.pace.Wait(w.engine.offering, w.sleepForLimits, int(w.engine.held.Load())); err == nil {
		return true
	}
	w.engine.putBack(j)
	w.noLeave(err)
	return false
}

// noLeave draws what follows from it that nothing may be offered for longer than a message waits.
func (w *worker) noLeave(err error) {
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

// sleepForLimits sleeps while the others need not wait for this server to take its part.
func (w *worker) sleepForLimits(d time.Duration, woken <-chan struct{}) error {
	if d > 0 {
		w.lane.countWorker(&w.lane.turn.limited, 1)
		defer w.lane.countWorker(&w.lane.turn.limited, -1)
	}
	return w.sleep(d, woken)
}

// next is a job that is there now and may be offered now, composed; nil if there is none.
func (w *worker) next() *task {
	if w.engine.claim.Err() != nil || len(w.engine.jobs)+len(w.lane.pinned) == 0 {
		return nil
	}
	if _, out := w.lane.out(); out || !w.lane.takeTurn(time.Now()) {
		return nil
	}
	var ok bool
	if w.pass, ok = w.lane.pace.Try(w.engine.offering, int(w.engine.held.Load())); !ok {
		w.lane.returnTurn()
		return nil
	}
	select { // none else may take them
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
	w.lane.pace.Return(w.pass, pace.Untried)
	return nil
}

// returnUpcoming puts the message after the next one back, if there is one.
func (w *worker) returnUpcoming() bool {
	t := w.upcoming.Swap(nil)
	if t != nil {
		w.untried(t)
	}
	return t != nil
}

// prepare composes a job's message. A message that cannot be composed is the recipient's end.
func (w *worker) prepare(j store.Job) *task {
	turn := (w.turn + 1) % len(w.compose)
	m, err := w.compose[turn](j)
	if err != nil {
		w.lane.pace.Return(w.pass, pace.Untried)
		w.settle(store.Outcome{Job: j, State: store.Failed, Text: "not sent: " + err.Error()})
		return nil
	}
	w.turn = turn
	t := &task{Job: j, Message: m, pass: w.pass, pinned: j.Pin != ""}
	if w.engine.severalRoutes() {
		t.Route = w.lane.route.Name
	}
	return t
}
