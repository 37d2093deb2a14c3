package sender

import (
	"context"
	"errors"
	"math"
	"time"

	"mailblast/sender/reply"
)

// A worker's session: how it is opened and given up, and what follows for the server from its troubles.

const (
	// failuresMost is how often in a row a worker finds the server unusable before the run is stopped.
	failuresMost = 5

	// perSessionMin is how many messages a session has carried when it is taken for granted that there were enough of them, and not
	// too many sessions.
	perSessionMin = 10
)

// room is how many more messages the session may carry.
func (w *worker) room() int {
	room := math.MaxInt
	for _, most := range []int{w.lane.route.MessagesPerConnection, int(w.lane.perSession.Load())} {
		if most > 0 {
			room = min(room, most-w.carried-len(w.unsent()))
		}
	}
	return room
}

// dial makes sure that there is a session.
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
	w.session, w.carried, w.ended, w.spent = s, 0, 0, false
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

// stayOut waits while the server is left out. It reports false when that is for the rest of the run.
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
	w.failures = min(w.failures, failuresMost-1) // one more and it is left out again
	w.lane.readmit(time.Now())
	return true
}

// refused notes that the server let no session in because there are too many, or because it throttles; false: it was for another reason. While
// there are others, they go on without this one; when there are none, everybody waits as for a message that is throttled.
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

// failed notes that the server could not be used. Servers have bad moments: to stop the run it takes several in a row with nobody getting a
// message through meanwhile, or one that only a person can mend.
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
	// What happens to all workers at once is said once.
	if n := int64(w.failures); n > w.lane.warned.Swap(max(n, w.lane.warned.Load())) {
		w.lane.log.Warn("the connection was lost, or none is to be had; trying again", "failures", w.failures, "error", err)
	}
}

// endSession ends a session of which the server says that it is one too many, or that it has carried enough. The server may say so to several
// messages that are in flight.
func (w *worker) endSession(said string) {
	if w.spent {
		return
	}
	w.spent = true
	if w.inFlight == 0 {
		w.session.Close()
	}
	if w.ended >= perSessionMin { // those in flight were not taken yet
		w.lane.perSession.Store(int64(w.ended))
		w.lane.log.Info("the server takes no more messages in a session", "messages", w.ended, "reply", said)
		return
	}
	w.admitted = false
	w.lane.window.Refuse(time.Now())
	w.lane.log.Info("the server wants fewer connections", "reply", said)
}
