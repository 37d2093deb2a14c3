package sender

import (
	"slices"
	"time"
)

// groupMost is how many messages are composed and begun together for one connection.
const groupMost = 8

// pipeline carries messages over the session, first before all others, until none is to be had at once or the session takes no more. w.pipe
// holds those that were taken up, in their order; the first w.inFlight of them were sent, or refused, and their answers are to be asked for.
//
// How the row of a message follows its steps, and why there is no moment of death that makes a second copy or loses a row:
//
//   - The row is claimed until the recorder has its begin on the disk. Nothing has left by then that a server could take for a whole message, as
//     Send comes after begun. A process that dies leaves a claimed row, which is queued again: it is not lost, and there is no copy.
//   - The row is sending, durably, from before Send until its outcome is on the disk. A process that dies leaves it sending, which becomes in
//     doubt and is not sent again by itself.
//   - The outcome is handed to the recorder after it has answered for the begin, and the recorder writes in the order in which things were
//     handed to it. So no begin comes after the outcome of the same attempt, which would make a row of it that was sent and looks unsent.
//   - A row whose message was not sent after all, since the session broke before, goes back in the same way. If the process dies before that is on
//     the disk, the row is in doubt although nothing left: that is one more in doubt, and neither a copy nor a loss.
//
// Begins are asked for when half of the places are free, so that the other half is in flight meanwhile. Whatever was in those places has had
// its outcome handed to the recorder by then. So there are never more rows of a connection sending than places: two at a Depth of 1, else Depth. A
// connection that dies puts those in doubt that were in flight.
//
// At a Depth of 1 the message after the one that is sent is offered before, so that its envelope travels with the end of that one. Its begin is asked
// for while the answer is awaited, or where that would be long before the disk is done, with the begin of the one before it, so that a connection waits
// for the disk once for two messages. At a larger Depth a message is offered when its begin is on the disk.
//
// Whatever is said to one message, the others in flight have their answers too: a session is not left before each was asked for.
func (w *worker) pipeline(first *task) {
	w.pipe = append(w.pipe, first)
	for len(w.pipe) > 0 {
		lost := w.write() // why the session takes no more
		if lost != nil {
			w.putBackUnsent()
		}
		lost = w.read(lost)
		if w.inFlight > 0 {
			continue
		}
		if w.session != nil && (lost != nil || w.spent) {
			w.session.Close()
		}
		if w.session == nil || w.session.Broken() {
			w.putBackUnsent()
		}
		if lost != nil {
			w.failed(lost)
		}
	}
}

// write takes messages up while there is room, and sends those whose turn has come. After an error the session takes no more, and the message that
// the error is about has ended.
func (w *worker) write() error {
	depth := w.session.Depth()
	if depth == 1 {
		if ready, err := w.ready(w.pipe[0]); !ready {
			return err
		}
	}
	w.takeUp()
	for unsent := w.unsent(); len(unsent) > 0 && w.inFlight < depth; unsent = w.unsent() {
		t := unsent[0]
		if !t.begun() {
			w.remove(w.inFlight)
			w.putBack(t)
			w.lane.log.Warn("not sent: the row could not be marked as sending, or was suppressed meanwhile", "recipient", t.Address)
			if t.ready { // the server waits for its content, and must not get it
				w.session.Close()
				w.hangUp()
				return nil
			}
			continue
		}
		if depth > 1 {
			if ready, err := w.ready(t); err != nil {
				return err
			} else if !ready {
				continue
			}
		} else if len(unsent) > 1 {
			w.offer(unsent[1])
		}
		if err := w.send(t); err != nil {
			return err
		}
	}
	w.prepareMore()
	return nil
}

// unsent are the messages that were taken up and not sent.
func (w *worker) unsent() []*task { return w.pipe[w.inFlight:] }

// takeUp adds messages to the pipe that are to be had at once, if half of the places are free, and asks for begins.
func (w *worker) takeUp() {
	depth := w.session.Depth()
	places := max(2, depth)
	if 2*(places-w.inFlight) >= places && !w.spent && !w.session.Broken() {
		for n := min(places-len(w.pipe), groupMost-len(w.unsent()), w.room()); n > 0; n-- {
			t := w.ahead()
			if t == nil {
				break
			}
			w.pipe[len(w.pipe)-1].next.Store(t)
			w.pipe = append(w.pipe, t)
		}
	}
	unsent := w.unsent()
	if len(unsent) == 0 || unsent[0].kept != nil {
		return
	}
	if depth == 1 && !w.engine.recorder.slow.Load() {
		unsent = unsent[:1]
	}
	w.engine.recorder.begin(unsent...)
}

// ready offers t, unless that was done, and asks the session whether it is to be sent. One that was refused is in flight until its answer was
// asked for; one that an error is about has ended.
func (w *worker) ready(t *task) (bool, error) {
	w.offer(t)
	w.await(w.pipe[0])
	var err error
	if t.ready, err = w.session.Ready(); err != nil {
		w.remove(w.inFlight)
		w.interrupted(t, err)
	} else if !t.ready {
		w.inFlight++
	}
	return t.ready, err
}

// offer tells the session of t, if that was not done.
func (w *worker) offer(t *task) {
	if t.offered.IsZero() {
		t.offered = time.Now()
		w.session.Offer(&t.Message)
	}
}

// send sends t, whose begin is on the disk. One that an error is about has ended.
func (w *worker) send(t *task) error {
	w.await(w.pipe[0]) // before it is written: a server that does not read on is seen to hang, and on what
	w.carried++
	if err := w.session.Send(); err != nil {
		w.remove(w.inFlight)
		w.interrupted(t, err)
		return err
	}
	w.inFlight++
	return nil
}

// prepareMore uses the time until the answer: it asks for the begin of a message that could not be sent behind the others, and composes the one after
// it.
func (w *worker) prepareMore() {
	unsent := w.unsent()
	if len(unsent) == 0 {
		return
	}
	if t := unsent[0]; t.kept == nil && !w.engine.recorder.slow.Load() {
		w.engine.recorder.begin(t)
	}
	if w.prepared.Load() == nil {
		w.prepared.Store(w.next())
	}
}

// read asks for the answer to the oldest message in flight; to all of them when the session takes no more, as leaving it would lose what the server
// has said already. It returns why the session takes no more.
func (w *worker) read(lost error) error {
	for asked := false; w.inFlight > 0 && (!asked || lost != nil || w.session.Broken()); asked = true {
		t := w.pipe[0]
		w.await(t)
		a, err := w.session.Answer()
		w.remove(0)
		w.inFlight--
		if err != nil {
			w.interrupted(t, err)
			lost = err
		} else {
			t.begun()
			w.answered(t, a)
		}
	}
	return lost
}

// remove takes the ith message out of the pipe.
func (w *worker) remove(i int) {
	var next *task
	if i+1 < len(w.pipe) {
		next = w.pipe[i+1]
	}
	if i > 0 {
		w.pipe[i-1].next.Store(next)
	}
	w.pipe = slices.Delete(w.pipe, i, i+1)
}

// putBackUnsent puts back what was taken up and not sent.
func (w *worker) putBackUnsent() {
	for i := len(w.pipe) - 1; i >= w.inFlight; i-- {
		t := w.pipe[i]
		w.remove(i)
		t.begun()
		w.putBack(t)
	}
}

// begun waits for the answer to t's begin if there is one to come, and reports whether the begin is on the disk. Nothing else is recorded of a job
// before that.
func (t *task) begun() bool {
	if t.kept != nil && !t.answered {
		t.sending, t.answered = <-t.kept, true
	}
	return t.sending
}
