package sender

import (
	"errors"
	"time"

	"mailblast/sender/reply"
)

// groupMost is how many messages are composed and begun together for one connection.
const groupMost = 8

// stream sends messages over a session that takes whole ones, up to Pipeline of them under way at a time, first before all others. It
// comes to its end when there is nothing to send at once, or the session takes no more.
//
// Begins are asked for when half of the places are free, so that the other half is under way meanwhile. The outcomes of
// messages that were answered have been handed to the recorder by then: if the process dies, at most Pipeline rows of a connection
// are `sending`. If the connection dies, those that were pushed and not answered are in doubt.
//
// Whatever is said to one of them, the others under way have their answers too: a session is not left before each was asked for.
func (w *worker) stream(first *task) {
	for {
		var lost error // why the session takes no more
		if free := w.lane.route.Pipeline - len(w.under); 2*free >= w.lane.route.Pipeline && !w.over && !w.session.Broken() {
			lost, first = w.push(w.group(first, free)), nil
		}
		answers := w.answers(lost != nil)
		w.under = w.under[len(answers):]
		for _, a := range answers {
			switch {
			case a.err != nil:
				w.doubtful(a.task, a.err)
				lost = a.err
			case a.stage == reply.Rset: // the server was not ready for it
				w.untried(a.task)
				lost = &reply.Error{Stage: a.stage, Reply: a.reply}
			default:
				w.answered(a.task, a.stage, a.reply)
			}
		}
		if lost != nil {
			w.failed(lost)
		}
		if len(w.under) > 0 {
			continue
		}
		if w.over && w.session != nil {
			w.session.Close()
		}
		if lost != nil || len(answers) == 0 || w.session == nil || w.session.Broken() {
			return
		}
	}
}

// group is first, unless that is nil, and what else can be had at once, n messages at most.
func (w *worker) group(first *task, n int) []*task {
	var all []*task
	if first != nil {
		all = append(all, first)
	}
	for n = min(n, w.room(), groupMost); len(all) < n; {
		t := w.next()
		if t == nil {
			break
		}
		all = append(all, t)
	}
	return all
}

// push begins a group of messages and writes them to the session. Those that went out are under way. After an error the session
// takes no more, and the others are settled.
func (w *worker) push(group []*task) (err error) {
	if len(group) == 0 {
		return nil
	}
	w.engine.recorder.begin(group...)
	kept := group[:0]
	for _, t := range group {
		if <-t.kept {
			kept = append(kept, t)
		} else {
			w.notBegun(t)
		}
	}
	// Before they are written: a server that does not read on is seen to hang, on what, and before what.
	for i, t := range kept {
		switch before := len(w.under); {
		case i > 0:
			kept[i-1].next.Store(t)
		case before > 0:
			w.under[before-1].next.Store(t)
		}
	}
	for _, t := range kept {
		if err != nil {
			w.untried(t)
			continue
		}
		w.carried++
		t.offered = time.Now()
		n := len(w.under)
		w.under = append(w.under, t)
		w.await(w.under[0])
		if err = w.session.Push(&t.Message); err == nil {
			continue
		}
		if w.under = w.under[:n]; n > 0 {
			w.under[n-1].next.Store(nil)
		}
		if e := (*reply.Error)(nil); errors.As(err, &e) && e.Stage == reply.Mail {
			w.untried(t) // nothing of it was written
		} else {
			w.unfinished(t, err)
		}
	}
	return err
}

// An answer is what the server said to a message that was pushed, or why it said nothing.
type answer struct {
	*task
	stage reply.Stage
	reply reply.Reply
	err   error
}

// answers asks for the answer to the oldest of the messages that are under way; to all of them when the session takes no more, as
// closing it would lose what the server has said already.
func (w *worker) answers(all bool) (got []answer) {
	for _, t := range w.under {
		w.await(t)
		a := answer{task: t}
		a.stage, a.reply, a.err = w.session.Answer()
		got = append(got, a)
		if !all && !w.session.Broken() {
			break
		}
	}
	return got
}
