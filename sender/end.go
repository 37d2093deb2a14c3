package sender

import (
	"errors"
	"time"

	"mailblast/campaign/text"
	"mailblast/sender/pace"
	"mailblast/sender/reply"
	"mailblast/store"
)

// How a message ends: answered by the server, in doubt, or put back, and what the others learn from it.

// refusalsMost is how many recipients in a row may be refused for a reason that sounds like ours before it is.
const refusalsMost = 10

// unsent puts a message back whose content was not sent, if there is one.
func (w *worker) unsent(t *task) {
	if t != nil {
		t.begun()
		w.untried(t)
	}
}

// untried puts a message back for which there was leave, and gives the leave back.
func (w *worker) untried(t *task) {
	w.lane.pace.Return(t.pass, pace.Untried)
	w.waits.CompareAndSwap(t, nil)
	w.engine.putBack(t.Job)
}

// begun waits for the answer to t's begin if there is one to come: nothing else is recorded of a job before that.
func (t *task) begun() {
	if t.kept != nil {
		<-t.kept
	}
}

// broken ends a task whose connection broke, or whose server stopped making sense, before the content was complete. It was
// not sent, but the server had seen the recipient, who may be the reason: the attempt counts.
func (w *worker) broken(t *task, err error) {
	w.session.Close() // it was broken before, or is no longer to be understood
	w.unfinished(t, err)
	w.failed(err)
}

// unfinished records that the content of a message was not completed.
func (w *worker) unfinished(t *task, err error) {
	out := store.Outcome{Job: t.Job, Text: err.Error(), Server: w.lane.route.Name}
	w.engine.opt.again(&out, time.Now(), 0)
	w.settle(out)
}

// doubt ends a task whose last byte may have left and whose reply did not come.
func (w *worker) doubt(t *task, err error) {
	w.session.Close()
	w.doubtful(t, err)
	w.failed(err)
}

// doubtful records that only the server knows what became of a message.
func (w *worker) doubtful(t *task, err error) {
	w.settle(store.Outcome{Job: t.Job, State: store.InDoubt, Text: err.Error(), Server: w.lane.route.Name})
}

// lost ends a task whose begin was not recorded, because somebody else has changed or suppressed the row, or the queue cannot be
// written: its content must not be completed, so the connection goes.
func (w *worker) lost(t *task) {
	w.session.Close()
	w.hangUp()
	w.notBegun(t)
}

// notBegun puts a message back whose begin was not recorded.
func (w *worker) notBegun(t *task) {
	w.lane.log.Warn("not sent: the row could not be marked as sending, or was suppressed meanwhile", "recipient", t.Address)
	w.untried(t)
}

// answered ends a task by the server's reply, and draws what follows from it for the others.
func (w *worker) answered(t *task, stage reply.Stage, r reply.Reply) {
	now := time.Now()
	out, verdict, scope := w.engine.opt.decide(t.Job, stage, r, w.lane.route.Name, now)
	dead := out.Kind == store.Bounced
	if dead {
		out.Kind = store.Plain // until the server is believed
	}
	if stage != reply.Mail && r.Code != 421 {
		w.failures = 0 // it does talk about recipients
	}
	switch {
	case out.State == store.Sent:
		w.lane.noteSent()
		w.lane.took(t.offered)
	case verdict == reply.Throttle && scope == reply.Session && w.session != nil:
		out.Due = now
		w.tooMuch(r)
	case verdict == reply.Throttle:
		pause, begun := w.lane.pace.Throttled(t.offered, now, int(stage), r.String())
		out.Due = now.Add(pause)
		if begun {
			w.lane.log.Info("the server throttles", "pause", pause, "reply", r.String())
		}
	case verdict == reply.Stop && (stage == reply.Mail || w.lane.refusals.Add(1) >= refusalsMost),
		verdict == reply.Permanent && stage == reply.Mail && !(t.UTF8 && text.IsASCII(t.From)) && w.lane.refusals.Add(1) >= refusalsMost:
		// At RCPT and later it takes several: one recipient's server may say what sounds like our relay's refusal. So it
		// does where the sender or the size is refused for good, as that would fail the whole list.
		w.lane.leaveOut(&StopError{Reason: "the server refuses the messages for a reason that is not the recipients'", Err: errors.New(r.String())}, time.Time{}, w.engine.stop)
	case out.State == store.Queued && stage == reply.Mail && (r.Code != 421 || w.carried == 0):
		w.failed(&reply.Error{Stage: stage, Reply: r})
	}
	if stage == reply.Dot {
		w.ended++
	}
	if out.State != store.Sent {
		w.lane.pace.Return(t.pass, pace.Refused)
	}
	if verdict == reply.Throttle || verdict == reply.Stop || stage < reply.Rcpt {
		w.lane.pace.Unclear(t.offered)
	} else {
		w.lane.pace.Passed(t.offered, now, int(stage))
	}
	if out.State == store.Queued && out.Kind == store.Plain && scope != reply.Recipient && !t.pinned && w.lane.othersTake() {
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

// settle hands an outcome to the recorder and to whoever watches.
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
