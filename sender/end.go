package sender

import (
	"errors"
	"time"

	"mailblast/campaign/text"
	"mailblast/sender/pace"
	"mailblast/sender/reply"
	"mailblast/store"
)

// How a message ends: it is answered, in doubt, or put back; and what follows for the others.

// refusalsMost is how many refusals in a row, for a reason that sounds like ours, leave the server out.
const refusalsMost = 10

// putBack puts a message back that was not tried, and returns its permit. The feeder calls it too.
func (w *worker) putBack(t *task) {
	w.lane.pace.Return(t.permit, pace.Untried)
	w.awaited.CompareAndSwap(t, nil)
	w.engine.putBack(t.Job)
}

// interrupted ends a message because of an error of its session.
func (w *worker) interrupted(t *task, err error) {
	t.begun()
	if out, tried := w.engine.opt.decideInterrupted(t.Job, err, w.lane.route.Name, time.Now()); tried {
		w.settle(out)
	} else {
		w.putBack(t)
	}
}

// answered ends a message by the server's answer, and draws the consequences for the others.
func (w *worker) answered(t *task, a reply.Answer) {
	now := time.Now()
	out := w.engine.opt.decide(t.Job, a, w.lane.route.Name, now)
	dead := out.Kind == store.Bounced
	if dead {
		out.Kind = store.Plain // until the server is believed
	}
	if a.Stage != reply.Mail && !a.Closing {
		w.failures = 0 // the server does talk about recipients
	}
	switch {
	case out.State == store.Sent:
		w.lane.noteSent()
		w.lane.took(t.offered)
	case a.Verdict == reply.Throttle && a.Scope == reply.Session && w.session != nil:
		out.Due = now
		w.endSession(a.String())
	case a.Verdict == reply.Throttle:
		pause, begun := w.lane.pace.Throttled(t.offered, now, int(a.Stage), a.String())
		out.Due = now.Add(pause)
		if begun {
			w.lane.log.Info("the server throttles", "pause", pause, "reply", a.String())
		}
	case w.refusesAll(t, a):
		w.lane.leaveOut(&StopError{Reason: "the server refuses the messages for a reason that is not the recipients'", Err: errors.New(a.String())}, time.Time{}, w.engine.stop)
	case out.State == store.Queued && a.Stage == reply.Mail && (!a.Closing || w.carried == 0):
		w.failed(&reply.Error{Stage: a.Stage, Reply: a.Reply, Explanation: a.Explanation})
	}
	if a.Stage == reply.Dot {
		w.completed++
	}
	if out.State != store.Sent {
		w.lane.pace.Return(t.permit, pace.Refused)
	}
	if a.Verdict == reply.Throttle || a.Verdict == reply.Stop || a.Stage < reply.Rcpt {
		w.lane.pace.Unclear(t.offered)
	} else {
		w.lane.pace.Passed(t.offered, now, int(a.Stage))
	}
	if out.State == store.Queued && out.Kind == store.Plain && a.Scope != reply.Recipient && !t.pinned && w.lane.othersTake() {
		out.Due = now // the recipient had no part in it
	}
	if !dead {
		w.settle(out)
		return
	}
	w.engine.held.Add(1) // there may be more to send after it
	w.settle(out)
	w.lane.calledDead(t.To, out)
	w.engine.unhold()
}

// refusesAll reports whether the server refuses for a reason that hits all messages. If it stops us before it has seen
// a recipient, once is enough. Later it takes several refusals, since the server of one recipient may say what sounds
// like a refusal by our relay. It also takes several if the sender or the size is refused for good, as this would fail
// the whole list.
func (w *worker) refusesAll(t *task, a reply.Answer) bool {
	early := a.Stage == reply.Mail
	switch {
	case a.Verdict == reply.Stop && early:
		return true
	case a.Verdict == reply.Stop, a.Verdict == reply.Permanent && early && !(t.UTF8 && text.IsASCII(t.From)):
		return w.lane.refusals.Add(1) >= refusalsMost
	}
	return false
}

// settle hands an outcome to the recorder, and counts it.
func (w *worker) settle(out store.Outcome) {
	use := pace.Refused
	if out.State == store.Sent || out.State == store.InDoubt {
		use = pace.Spent
	}
	w.engine.done(out.Job, w.served(out.Job), out.Code > 0, use)
	switch out.State {
	case store.Sent:
		w.engine.opt.Stats.Sent.Add(1)
	case store.Failed:
		w.engine.opt.Stats.Failed.Add(1)
	case store.InDoubt:
		w.engine.opt.Stats.InDoubt.Add(1)
	case store.Queued:
		w.engine.opt.Stats.Deferred.Add(1)
	}
	w.engine.recorder.finish(out)
}
