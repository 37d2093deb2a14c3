package sender

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mailblast/sender/reply"
	"mailblast/store"
)

// A belief says whether a server is believed that calls recipients dead. One whose directory is down says of everybody that there is no such
// user, and each such answer that is believed costs a customer: the address is never mailed again. So an answer alone puts nobody on the
// suppression list; it takes a server that tells the dead from the living.
//
//	answer to a recipient:
//	  dead:  the recipient is failed, durably, and joins the run of those who were called dead since the server last took a message
//	  sent:  those of the run are believed who were called dead before this message was offered, and go on the suppression list. What
//	         was offered earlier may have been judged by a directory that has gone down since
//	  the run has deadInSameWords answers in the same words, or deadInAnyWords in any:
//	         the server is not believed, also if it took somebody earlier in this run of the program: its directory may have gone down since.
//	         All of the run of answers is queued again, and the server is left out
//	end:     what is left is believed if it is less than deadAtEnd and the server took anybody. Otherwise these recipients stay failed and are
//	         not on the suppression list
//
// The server is never asked for a recipient without a message: a relay that accepts every recipient would prove nothing by its answer, and
// providers count such questions as address harvesting. The price is that a server which is right about that many dead in a row stops
// the run.
//
// The entries of the list are written after the server is believed, and never taken back: if the process dies before that, the recipients
// are failed and not on the list, and the next campaign finds them again. Who is queued again has used up an attempt, as after a failure that
// may pass. So a list whose recipients are all dead comes to its end even if nobody ever looks.
type belief struct {
	mu   sync.Mutex     // guards run, same and lost
	run  []deadAnswer   // since the server last took a message, the oldest first
	same map[string]int // how many of them there are by their words
	lost bool           // the server is not believed any more

	open atomic.Bool // there is something in run; for those who took a message to see without the lock
}

// A deadAnswer is one by which a recipient is dead, as it was recorded.
type deadAnswer struct {
	store.Outcome
	words string // what it says, without what it says of this recipient only
	at    time.Time
}

const (
	// deadInSameWords is how many recipients in a row may be called dead in the same words. Of a list of which six in ten are dead, one in
	// 27,000 begins with so many.
	deadInSameWords = 20

	// deadInAnyWords is how many may be in any words: also a server that has another text for each of them takes nobody.
	deadInAnyWords = 100

	// deadAtEnd is how many are not believed at the end of a run: fewer may be lost to a directory that goes down when the list is nearly
	// through.
	deadAtEnd = 5
)

// calledDead notes that the server called a recipient dead. The outcome was given to the recorder before.
func (l *lane) calledDead(address string, out store.Outcome) {
	out.Job.Fields = nil // a run is kept for long, and a recipient's fields may be large
	a := deadAnswer{out, wordsOf(address, out.Code, out.Text), time.Now()}
	b := &l.belief
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost {
		l.amend([]deadAnswer{a}, false)
		return
	}
	if b.same == nil {
		b.same = map[string]int{}
	}
	b.run = append(b.run, a)
	b.same[a.words]++
	b.open.Store(true)
	if b.same[a.words] >= deadInSameWords || len(b.run) >= deadInAnyWords {
		l.disbelieve()
	}
}

// wordsOf is what a reply says without what it says of one recipient only: addresses, numbers, names of queues.
func wordsOf(address string, code int, text string) string {
	local, domain, _ := strings.Cut(strings.ToLower(address), "@")
	words := []string{fmt.Sprint(code)}
	for _, field := range strings.Fields(strings.ToLower(text)) {
		bare := strings.Trim(field, `<>()[]{}"'.,:;!`)
		if bare == local || bare == domain || strings.ContainsAny(bare, "@0123456789") {
			continue
		}
		words = append(words, bare)
	}
	return strings.Join(words, " ")
}

// took notes that the server took a message which was offered then, and so that it tells one recipient from another.
func (l *lane) took(offered time.Time) {
	b := &l.belief
	if !b.open.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost {
		return
	}
	before := slices.IndexFunc(b.run, func(a deadAnswer) bool { return a.at.After(offered) })
	if before < 0 {
		l.endRun(true)
		return
	}
	l.amend(b.run[:before], true)
	for _, a := range b.run[:before] {
		b.same[a.words]--
	}
	b.run = slices.Delete(b.run, 0, before)
}

// endRun ends the run of answers: all of it is believed, or queued again. The caller holds belief.mu.
func (l *lane) endRun(believed bool) {
	b := &l.belief
	l.amend(b.run, believed)
	b.run, b.same = nil, nil
	b.open.Store(false)
}

// amend replaces the outcomes of answers that were recorded as failures.
func (l *lane) amend(answers []deadAnswer, believed bool) {
	elsewhere := !believed && l.othersTake()
	for _, a := range answers {
		out := a.Outcome
		out.Kind = store.Confirmed
		if !believed {
			if l.engine.opt.again(&out, time.Now(), 0); out.State == store.Failed {
				continue
			}
			out.Kind = store.Revoked
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

// disbelieve leaves the server out and queues the run of answers again. The caller holds belief.mu.
func (l *lane) disbelieve() {
	b := &l.belief
	first := b.run[0]
	b.lost = true
	l.leaveOut(&StopError{
		Reason: fmt.Sprintf("the server calls one recipient after the other dead, %d in a row, and takes nobody between them, so it is not believed: they stay queued, and none of them is on the suppression list. "+
			"Find out whether it knows its users; if it does, these addresses are dead, and each further run tries them again until their attempts are used up", len(b.run)),
		Err: errors.New(reply.Reply{Code: first.Code, Status: first.Status, Text: first.Text}.String()),
	}, time.Time{}, l.engine.stop)
	l.endRun(false)
}

// endBelief decides on what is left in the run of answers when the workers have ended.
func (l *lane) endBelief() {
	b := &l.belief
	b.mu.Lock()
	defer b.mu.Unlock()
	switch n := len(b.run); {
	case n == 0:
	case n < deadAtEnd && l.sent.Load() > 0:
		l.endRun(true)
	default:
		l.log.Info("recipients whom the server called dead are not put on the suppression list, as it is not known whether it knew anybody then", "recipients", n)
	}
}
