package sender

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mailblast/campaign/mail"
	"mailblast/sender/reply"
	"mailblast/store"
)

// Whether a server is believed that calls recipients dead. One whose directory is down says of everybody that there is no such user, and
// each such answer that is believed costs a customer: the address is never mailed again. So an answer alone puts nobody on the suppression
// list; it takes a server that tells the dead from the living.
//
//	answer to a recipient:
//	  dead:     the recipient is failed, durably, and joins the row of those who were called dead since the last message was sent
//	  sent:     those of the row are believed that came before it was offered, and go on the suppression list: what was offered
//	            earlier may have been judged by a directory that went down since
//	  the row has bouncesMost answers in the same words, or bouncesAny in any:
//	    ask the server on a new connection, without sending anything, for a recipient whom it took in this run and for the first of the row:
//	      it takes the one and not the other:       the row is believed, as the dead may stand together in a list
//	      it takes both:                            it was wrong: the row is queued again, and the run goes on
//	      it does not take the one, or there is none:  it is not believed: the row is queued again, and the server left out for
//	                                                   the rest of the run
//	    a server that throttles the question is asked again after the pause, as it would be sent to again
//	end of the run: a row that is shorter than bouncesFew is believed if the server took anybody in this run. For a longer one it is asked
//	                as above, and nobody is left out. Who is neither believed nor queued again stays failed
//
// The entries of the list are written after the belief, and not taken back before it: if the process dies, those of the row are failed
// and not on the list, and the next campaign finds them again. They are queued again as after a failure that may pass: an attempt is
// used up. So a list whose recipients are all dead comes to its end even if nobody ever looks.
type bounces struct {
	row    []bounce       // since the last message that was sent
	same   map[string]int // how many of them there are by their words
	asker  *worker        // who is to ask the server; nil: nobody
	tries  int            // how often it was asked without an answer
	braked bool           // the server is not believed any more
	mu     sync.Mutex     // guards all of these

	waits atomic.Bool                  // there is something in row, or somebody asks
	taken atomic.Pointer[mail.Message] // an envelope that the server took in this run
}

// A bounce is an answer by which a recipient is dead, as it was recorded.
type bounce struct {
	store.Outcome
	to      string
	said    string // its words
	at      time.Time
	askable bool // it was refused as a recipient, so the server can be asked for it without a message
}

const (
	// bouncesMost is how many recipients in a row may be called dead in the same words before the server is asked. Of a list of which six in
	// ten are dead, one in 27,000 begins with so many.
	bouncesMost = 20

	// bouncesFew is how many may be lost to a directory that goes down when the list is nearly through.
	bouncesFew = 5

	// bouncesAny is how many may be in any words: also a server that has another text for each of them takes nobody.
	bouncesAny = 100

	// askPoll is how often it is looked whether the server was asked.
	askPoll = 100 * time.Millisecond
)

// bounced notes that the server called the recipient of t dead. The outcome was given to the recorder before.
func (w *worker) bounced(t *task, stage reply.Stage, out store.Outcome) {
	out.Job.Fields = nil // a row is kept for long, and a recipient's fields may be large
	b := bounce{out, strings.Clone(t.To), words(t.To, out.Code, out.Text), time.Now(), stage == reply.Rcpt && !t.UTF8}
	s := &w.lane.bounces
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.braked {
		w.lane.amend([]bounce{b}, false)
		return
	}
	if s.same == nil {
		s.same = map[string]int{}
	}
	s.row = append(s.row, b)
	s.same[b.said]++
	s.waits.Store(true)
	if s.asker != nil || s.same[b.said] < bouncesMost && len(s.row) < bouncesAny {
		return
	}
	if s.taken.Load() == nil || s.example() < 0 {
		w.lane.disbelieve()
		return
	}
	s.asker = w
	w.engine.held.Add(1) // there may be more to send after the answer
}

// example is which of the row the server may be asked for; -1: none.
func (s *bounces) example() int {
	return slices.IndexFunc(s.row, func(b bounce) bool { return b.askable })
}

// words is what a reply says without what it says of one recipient only: addresses, numbers, names of queues.
func words(address string, code int, text string) string {
	local, domain, _ := strings.Cut(strings.ToLower(address), "@")
	said := []string{fmt.Sprint(code)}
	for _, field := range strings.Fields(strings.ToLower(text)) {
		bare := strings.Trim(field, `<>()[]{}"'.,:;!`)
		if bare == local || bare == domain || strings.ContainsAny(bare, "@0123456789") {
			continue
		}
		said = append(said, bare)
	}
	return strings.Join(said, " ")
}

// took notes that the server took a message, and so that it tells one recipient from another.
func (l *lane) took(t *task) {
	s := &l.bounces
	if !s.waits.Load() && s.taken.Load() != nil {
		return
	}
	if !t.UTF8 {
		s.taken.Store(&mail.Message{From: strings.Clone(t.From), To: strings.Clone(t.To)})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := slices.IndexFunc(s.row, func(b bounce) bool { return b.at.After(t.offered) })
	switch {
	case s.braked:
	case before < 0:
		l.end(true)
	default:
		l.amend(s.row[:before], true)
		for _, b := range s.row[:before] {
			s.same[b.said]--
		}
		s.row = slices.Delete(s.row, 0, before)
	}
}

// end ends the row, by which all of it is believed, or queued again. The caller holds mu.
func (l *lane) end(believed bool) {
	s := &l.bounces
	l.amend(s.row, believed)
	s.row, s.same = nil, nil
	s.waits.Store(s.asker != nil)
}

// amend replaces the outcomes of bounces.
func (l *lane) amend(row []bounce, believed bool) {
	elsewhere := !believed && l.othersTake()
	for _, b := range row {
		out := b.Outcome
		out.Amends, out.Suppress = true, believed
		if !believed {
			if l.engine.opt.again(&out, time.Now(), 0); out.State == store.Failed {
				continue
			}
			if elsewhere {
				out.Due = time.Now()
			}
			l.engine.opt.Stats.Failed.Add(-1)
			l.engine.opt.Stats.Deferred.Add(1)
		}
		l.engine.held.Add(1)
		l.engine.recorder.finish(out)
	}
}

// disbelieve leaves the server out and queues the row again. The caller holds mu.
func (l *lane) disbelieve() {
	s := &l.bounces
	first := s.row[0]
	s.braked = true
	l.retire(&StopError{
		Reason: fmt.Sprintf("the server calls one recipient after the other dead, %d in a row, and takes nobody, so it is not believed: they stay queued, and none of them is on the suppression list. "+
			"Find out whether it knows its users; if it does, these addresses are dead, and each further run tries them again until their attempts are used up", len(s.row)),
		Err: errors.New(reply.Reply{Code: first.Code, Status: first.Status, Text: first.Text}.String()),
	}, time.Time{}, l.engine.cancel)
	l.end(false)
}

// suspects reports whether the server is to be asked before anything else is sent, and whether w is to do it.
func (w *worker) suspects() (suspected, mine bool) {
	s := &w.lane.bounces
	if !s.waits.Load() {
		return false, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asker != nil, s.asker == w
}

// suspected is suspects for who only wants to know whether to go on.
func (w *worker) suspected() bool {
	yes, _ := w.suspects()
	return yes
}

// ask asks the server whether it still takes a recipient whom it took, and one whom it called dead. Where it does not say, it is to be
// called again, and not more often than a server is dialled that cannot be reached.
func (w *worker) ask() {
	s := &w.lane.bounces
	s.mu.Lock()
	i := s.example()
	if i < 0 { // a message was sent meanwhile, so there is nothing to ask
		w.answer(func() {})
		s.mu.Unlock()
		return
	}
	dead := s.row[i].to
	s.mu.Unlock()
	replies, ok, throttled := w.question(s.taken.Load(), dead)
	if !ok && w.engine.offering.Err() != nil { // it is the run that ends
		w.leaveOff()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if throttled {
		return
	}
	if s.tries++; !ok && s.tries < failuresMost {
		return
	}
	w.answer(func() {
		if len(s.row) == 0 {
			return
		}
		if !ok || replies[0].Code/100 != 2 {
			w.lane.disbelieve()
			return
		}
		still := w.lane.dead(replies[1])
		w.lane.Log.Info("the server called many recipients in a row dead, and was asked again", "recipients", len(s.row), "believed", still)
		w.lane.end(still)
	})
}

// question puts two recipients to the server, over a new connection, as many servers take nothing more over one that has named many
// unknown users. It reports not ok when the server does not say whether it takes the first one, and throttled when that is because nothing may
// be offered at the moment, which says nothing of whom it knows: the question takes its turn like a message.
func (w *worker) question(taken *mail.Message, dead string) (replies []reply.Reply, ok, throttled bool) {
	given, err := w.lane.pace.wait(w.engine.offering, w.sleepForLimits, 1)
	if err != nil {
		w.noLeave(err)
		return nil, false, true
	}
	defer w.lane.pace.giveBack(given, untried)
	if w.hangUp(); !w.dial() {
		w.sleep(gatePoll, nil)
		return nil, false, false
	}
	offered := time.Now()
	if replies, err = put(w.session, taken, dead); err != nil {
		w.session.Close()
		w.hangUp()
		if w.hushed(offered, err) {
			return nil, false, true
		}
		w.failed(err)
		return nil, false, false
	}
	w.lane.pace.passed(offered, time.Now(), reply.Rcpt)
	if !w.inside { // it is one connection too many for anything else
		w.hangUp()
	}
	return replies, true, false
}

// hushed reports whether the server throttles the question, and has the pace follow from it.
func (w *worker) hushed(offered time.Time, err error) bool {
	var e *reply.Error
	if !errors.As(err, &e) || e.Reply.Code == 0 {
		return false
	}
	if verdict, scope := w.engine.opt.Replies.Classify(e.Stage, e.Reply.Code, e.Reply.Status, e.Reply.Text); verdict != reply.Throttle || scope == reply.Recipient {
		return false
	}
	if pause, begun := w.lane.pace.throttled(offered, time.Now(), e.Stage, e.Reply.String()); begun {
		w.lane.Log.Info("the server throttles", "pause", pause, "reply", e.Reply.String())
	}
	return true
}

// put asks a session for two recipients. It is an error where the server does not say whether it takes the first one.
func put(s Session, taken *mail.Message, dead string) ([]reply.Reply, error) {
	replies, err := s.Ask(taken.From, taken.To, dead)
	if err == nil && replies[0].Code/100 == 4 {
		err = &reply.Error{Stage: reply.Rcpt, Reply: replies[0]}
	}
	return replies, err
}

// dead reports whether a reply says that its recipient is.
func (l *lane) dead(r reply.Reply) bool {
	return l.engine.opt.Replies.Explain(reply.Rcpt, r.Code, r.Status, r.Text).Class == reply.HardBounce
}

// answer ends the asking by what follows from it. The caller holds mu.
func (w *worker) answer(follow func()) {
	w.lane.bounces.asker, w.lane.bounces.tries = nil, 0
	follow()
	w.lane.bounces.waits.Store(len(w.lane.bounces.row) > 0)
	w.engine.unhold()
}

// leaveOff ends the asking of a worker that ends: what nobody could find out is not believed.
func (w *worker) leaveOff() {
	s := &w.lane.bounces
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asker == w {
		w.answer(func() { w.lane.end(false) })
	}
}

// endBounces decides on what is left in the row when the run ends, and nobody sends any more. Nobody is asked anything when the run was stopped.
func (l *lane) endBounces(mayAsk bool) {
	s := &l.bounces
	s.mu.Lock()
	defer s.mu.Unlock()
	switch n := len(s.row); {
	case n == 0:
	case l.sent.Load() > 0 && n < bouncesFew:
		l.end(true)
	default:
		if mayAsk {
			if still, ok := l.lastQuestion(); ok {
				l.Log.Info("the server called the last recipients dead, and was asked again", "recipients", n, "believed", still)
				l.end(still)
				return
			}
		}
		l.Log.Info("recipients whom the server called dead are not put on the suppression list, as it is not known whether it knew anybody then", "recipients", n)
	}
}

// lastQuestion asks the server when all workers have ended. It reports false when the server does not say, or took nobody. The caller
// holds mu.
func (l *lane) lastQuestion() (still, ok bool) {
	s := &l.bounces
	if _, out := l.out(); out || s.taken.Load() == nil || s.example() < 0 {
		return false, false
	}
	session, err := l.route.Transport.Dial(l.engine.work)
	if err != nil {
		return false, false
	}
	defer session.Quit()
	defer context.AfterFunc(l.engine.work, session.Close)()
	replies, err := put(session, s.taken.Load(), s.row[s.example()].to)
	if err != nil {
		return false, false
	}
	return replies[0].Code/100 == 2 && l.dead(replies[1]), true
}
