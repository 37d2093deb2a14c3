package sender

import (
	"context"
	"errors"
	"math"
	"time"

	"mailblast/sender/reply"
)

// The session of a worker: how it is opened and closed, and what its troubles mean for the server.

const (
	// failuresMost is how many failures of a worker in a row leave the server out.
	failuresMost = 5

	// perSessionMin is the least number of messages after which a refusal of the session means that it has carried
	// enough, and not that there are too many sessions.
	perSessionMin = 10
)

// room returns how many more messages the session may carry.
func (w *worker) room() int {
	room := math.MaxInt
	for _, most := range []int{w.lane.route.MessagesPerConnection, int(w.lane.perSession.Load())} {
		if most > 0 {
			room = min(room, most-w.carried-len(w.unsent()))
		}
	}
	return room
}

// dial makes sure that there is a session, and reports whether there is.
func (w *worker) dial() bool {
	if w.session != nil && (w.session.Broken() || w.room() <= 0) {
		w.hangUp()
	}
	if w.session != nil {
		return true
	}
	s, err := w.lane.route.Transport.Dial(w.engine.claim)
	if err != nil {
		if w.engine.claim.Err() == nil && !w.refused(err) {
			w.failed(err)
		}
		return false
	}
	w.session, w.carried, w.completed, w.spent = s, 0, 0, false
	w.unhook = context.AfterFunc(w.engine.work, s.Close)
	w.lane.up.Add(1)
	if w.engine.opt.Stats.Connections.Add(1) == 1 {
		now := time.Now()
		w.engine.firstUp.Store(&now)
	}
	return true
}

// hangUp ends the session.
func (w *worker) hangUp() {
	if w.session == nil {
		return
	}
	w.session.Quit()
	w.unhook()
	w.session = nil
	w.lane.up.Add(-1)
	w.engine.opt.Stats.Connections.Add(-1)
}

// stayOut waits while the server is left out. It reports false if that is for the rest of the run.
func (w *worker) stayOut(until time.Time) bool {
	w.returnPrepared()
	w.hangUp()
	var over <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(max(time.Until(until), time.Millisecond))
		defer timer.Stop()
		over = timer.C
	}
	for out := true; out; {
		select {
		case j := <-w.lane.pinned:
			if !w.lane.keepPinnedIfOut(j) {
				w.engine.putBack(j)
			}
		case <-over:
			out = false
		case <-w.engine.offering.Done():
			return false
		}
	}
	w.failures = min(w.failures, failuresMost-1) // one more failure leaves it out again
	w.lane.readmit(time.Now())
	return true
}

// refused handles a dial that the server refused because there are too many sessions, or because it throttles, and
// reports whether this was the reason. If there are other sessions, they go on without this one. If there are none,
// everybody waits as after a message that was throttled.
func (w *worker) refused(err error) bool {
	var e *reply.Error
	if !errors.As(err, &e) || e.Reply.Code == 0 {
		return false
	}
	if means := e.Explanation; means.Verdict != reply.Throttle && (!means.Closing || w.lane.up.Load() == 0) {
		return false
	}
	w.admitted = false
	now := time.Now()
	if w.lane.window.Refuse(now); w.lane.up.Load() > 0 {
		w.lane.log.Info("the server lets in no more connections", "open", w.lane.up.Load(), "reply", e.Reply.String())
		return true
	}
	if pause, begun := w.lane.pace.Throttled(now, now, int(e.Stage), e.Reply.String()); begun {
		w.lane.log.Info("the server throttles", "pause", pause, "reply", e.Reply.String())
	}
	return true
}

// failed notes that the server could not be used. Servers have bad moments: it takes several failures in a row, while
// nobody gets a message through, to leave the server out, or one that only a person can mend.
func (w *worker) failed(err error) {
	if w.failures == 0 {
		w.sentBefore = w.lane.sent.Load()
	}
	w.failures++
	w.lane.noteTrouble()
	if w.session != nil && w.session.Broken() && w.inFlight == 0 {
		w.hangUp()
	}
	var e *reply.Error
	if errors.As(err, &e) && e.Final() {
		w.lane.leaveOut(&StopError{Reason: "the server cannot be used", Err: err}, time.Time{}, w.engine.stop)
		return
	}
	if w.failures >= failuresMost && w.lane.sent.Load() == w.sentBefore && (w.session != nil || w.lane.up.Load() == 0) {
		w.lane.leaveOut(&StopError{Reason: "the server cannot be reached", Err: err}, time.Now().Add(downFor), w.engine.stop)
		return
	}
	// What happens to all workers at the same time is logged once.
	if n := int64(w.failures); n > w.lane.warned.Swap(max(n, w.lane.warned.Load())) {
		w.lane.log.Warn("the connection was lost, or none is to be had; trying again", "failures", w.failures, "error", err)
	}
}

// endSession ends a session of which the server says that it is one too many, or that it has carried enough. The server
// may say so to several messages in flight.
func (w *worker) endSession(said string) {
	if w.spent {
		return
	}
	w.spent = true
	if w.inFlight == 0 {
		w.session.Close()
	}
	if w.completed >= perSessionMin { // and not carried: those in flight may not have been taken
		w.lane.perSession.Store(int64(w.completed))
		w.lane.log.Info("the server takes no more messages in a session", "messages", w.completed, "reply", said)
		return
	}
	w.admitted = false
	w.lane.window.Refuse(time.Now())
	w.lane.log.Info("the server wants fewer connections", "reply", said)
}
