package sender

import (
	"slices"
	"time"
)

// groupMost is the most messages that are composed and begun together for one connection.
const groupMost = 8

// pipeline carries messages over the session, beginning with first, until none is to be had at once or the session
// takes no more. w.pipe holds the messages that were taken up, in their order. The first w.inFlight of them were sent
// or refused, and their answers are still to be asked for.
//
// The row of a message follows its steps, so that no moment of death makes a second copy or loses a row:
//
//   - The row is claimed until its begin is on the disk. Send comes after that, so no server can have a whole message
//     before. If the process dies, the row is claimed and goes back to the queue: the recipient is not lost, and there
//     is no copy.
//   - The row is sending from before Send until its outcome is on the disk. If the process dies, the row is sending,
//     which means in doubt, and in doubt is never sent again by itself.
//   - The outcome is handed to the recorder after the recorder has answered for the begin, and the recorder writes in
//     the order in which it was asked. So a begin never comes after the outcome of its own attempt, which would bring
//     back a row that had ended.
//   - A row whose message was begun and not sent, as the session broke, goes back in the same way. If the process dies
//     before this is on the disk, the row is in doubt although nothing left. This is one more in doubt, and neither a
//     copy nor a loss.
//
// A connection has a number of places: two at a Depth of 1, else Depth. Begins are asked for when half of the places
// are free, so that the other half is in flight meanwhile. The outcomes of the messages that were in the free places
// were handed to the recorder before. So a connection never has more rows sending than places. If a connection dies,
// those in flight are in doubt.
//
// At a Depth of 1 the next message is offered before the present one is sent, so that its envelope travels with the end
// of that one. Its begin is asked for at the same moment, so that the disk has until the answer to the present one, and
// the connection need not wait for it. These two are the rows that may be sending: the outcome of the message before them
// was handed to the recorder before. On a slow disk the answer would come long before the begin is on the disk: there the
// begins of two messages are asked for together, and a connection waits for the disk once for both. At a larger Depth a
// message is offered when its begin is on the disk.
//
// A session is not left before the answer to each message in flight was asked for.
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

// write takes messages up while there is room, and sends those whose turn has come. After an error the session takes no
// more, and the message that the error is about has ended.
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
			if t.ready { // the server waits for the content, and must not get it
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

// unsent returns the messages that were taken up and not sent.
func (w *worker) unsent() []*task { return w.pipe[w.inFlight:] }

// takeUp adds to the pipe what is to be had at once, if half of the places are free, and asks for begins.
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
	w.askForBegins(depth)
}

// askForBegins asks for the begins of what was taken up and not asked for. Where several messages wait for the disk
// together, it asks for none while the begin of one of them is already asked for.
func (w *worker) askForBegins(depth int) {
	unsent := w.unsent()
	asked := 0
	for asked < len(unsent) && unsent[asked].kept != nil {
		asked++
	}
	together := depth > 1 || w.engine.recorder.slow.Load()
	if asked < len(unsent) && !(together && asked > 0) {
		w.engine.recorder.begin(unsent[asked:]...)
	}
}

// ready offers t, unless this was done before, and asks the session whether it is to be sent. If it is refused it is in
// flight, as its answer is still to be asked for. After an error it has ended.
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

// offer tells the session of t, unless this was done before.
func (w *worker) offer(t *task) {
	if t.offered.IsZero() {
		t.offered = time.Now()
		w.session.Offer(&t.Message)
	}
}

// send sends t, whose begin is on the disk. After an error it has ended.
func (w *worker) send(t *task) error {
	w.await(w.pipe[0]) // now, as a server that does not read on hangs here
	w.carried++
	if err := w.session.Send(); err != nil {
		w.remove(w.inFlight)
		w.interrupted(t, err)
		return err
	}
	w.inFlight++
	return nil
}

// prepareMore uses the time until the answer: if there is a message behind those in flight, it composes another one ahead.
func (w *worker) prepareMore() {
	if len(w.unsent()) > 0 && w.prepared.Load() == nil {
		w.prepared.Store(w.next())
	}
}

// read asks for the answer to the oldest message in flight. It asks for all answers if the session takes no more, as
// the server may have said them already. It returns why the session takes no more.
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

// begun waits for the recorder's answer to the begin of t, if the begin was asked for, and reports whether it is on the
// disk. Nothing else of a job is recorded before that.
func (t *task) begun() bool {
	if t.kept != nil && !t.answered {
		t.sending, t.answered = <-t.kept, true
	}
	return t.sending
}
