// Package sender drains a queue: it claims recipients, has their messages composed, and carries them to a server over
// several sessions at once, or to several servers, writing down what becomes of each.
//
// One goroutine, the feeder, owns the schedule: it claims rows in batches and hands them out. Workers each own a session
// and send one message after the other, the envelope of the next one travelling with the end of this one. One
// goroutine, the recorder, owns the queue's begins and finishes: those of all workers that come in while it writes go
// into its next transaction. No message's last byte leaves before the recorder has answered that its begin is
// durable.
//
// Each server has a lane of its own: its workers, its speed and its troubles. One that cannot be used is left out, and the others
// take the messages; when none is left the run stops.
//
// Stopping goes the same way: the feeder claims no more, the workers finish what they hold, the recorder writes it down,
// and what was claimed and not begun goes back to the queue.
package sender

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"mailblast/sender/reply"
	"mailblast/store"
)

// Queue is what Run needs of a store.Lease. After an error of Record nothing of it was written.
type Queue interface {
	Claim(ctx context.Context, n int) ([]store.Job, error)
	Record(ctx context.Context, begin []store.Job, finish []store.Outcome) (kept []store.Job, err error)
	Pending(ctx context.Context) (store.Counts, time.Time, error)
}

// Transport opens sessions. Its errors are *reply.Error.
type Transport interface {
	Dial(ctx context.Context) (Session, error)
}

// Session carries messages, one at a time: Offer, Ready, Send, Result; or, where the server does Chunking, several: Push each, and ask for
// the Answer of each. See sender/smtp for what each promises.
type Session interface {
	Offer(m *Message)
	Ready() (stage reply.Stage, r reply.Reply, err error)
	Send(m, next *Message) (gone bool, err error) // with the envelope of next, unless it is nil
	Result() (reply.Reply, error)
	Chunking() bool
	Push(m *Message) error
	Answer() (stage reply.Stage, r reply.Reply, err error)
	Ask(from string, to ...string) ([]reply.Reply, error) // whether recipients would be taken, of a session that is not in use
	Broken() bool
	Quit()  // politely
	Close() // at once; may be called by another goroutine
}

// A Message is what a session carries.
type Message struct {
	From, To string   // envelope addresses
	UTF8     bool     // an address needs SMTPUTF8
	Content  [][]byte // RFC 5322 message in CRLF lines, not dot-stuffed
	Size     int      // octets of Content
}

// A Compose makes the message of one recipient. It belongs to one goroutine; what it returns is valid until its next
// call.
type Compose func(store.Job) (Message, error)

// Options say how to drain. The zero value of a field means what its comment says.
type Options struct {
	Batch        int                                         // rows claimed at a time; 100
	Attempts     int                                         // until a recipient is given up; 5
	BackoffMin   time.Duration                               // until the second attempt, then doubled; 1m
	BackoffMax   time.Duration                               // 4h
	PerDomain    int                                         // messages to one domain of recipients at a time; 0: no limit but what is found
	DomainLimits func(domain string) Limits                  // nil: none
	Wait         time.Duration                               // how long to stay for recipients that are due later
	Open         func(time.Time) (open bool, next time.Time) // whether messages may be sent, and when that changes; nil: always
	Limit        int                                         // at most so many messages are tried; 0: no limit
	Compose      func() Compose
	Replies      *reply.Classifier // nil: one without rules of the user's own
	Log          *slog.Logger
	Stats        *Stats // is kept up to date for whoever shows progress; may be nil
}

// Stats counts what this run did. A deferred recipient is counted each time.
type Stats struct {
	Sent, Failed, Deferred, InDoubt, Connections atomic.Int64

	// What was found out about the servers, in the order in which they were given, when Run has returned.
	Servers []ServerStats
}

// A StopError is why Run stopped although recipients are queued that could have been tried.
type StopError struct {
	Reason string    // what happened, and what to do
	Until  time.Time // it is of no use to try before; may be zero
	Err    error     // may be nil
}

func (e *StopError) Error() string {
	if e.Err == nil || e.Err.Error() == e.Reason {
		return e.Reason
	}
	return fmt.Sprintf("%s: %v", e.Reason, e.Err)
}

func (e *StopError) Unwrap() error { return e.Err }

// Run drains q over the servers, of which there is at least one, until nothing is left that is due within o.Wait. It returns nil then; a
// *StopError when no server can be used, or when claim ended or o.Limit was reached before that; any other error when the queue cannot be
// written.
//
// Two contexts: when claim ends, no further message is begun, and those under way are finished. When work ends too,
// connections are cut, and messages whose reply is awaited are in doubt. What happened is written down even then.
func Run(work, claim context.Context, q Queue, servers []Server, o Options) error {
	o = o.withDefaults()
	claim, cancel := context.WithCancelCause(claim)
	defer cancel(nil)
	defer context.AfterFunc(work, func() { cancel(context.Cause(work)) })()
	e := &engine{
		Options: o, queue: q, work: work, claim: claim, cancel: cancel,
		settled: make(chan struct{}, 1), domains: newDomains(o), turns: turns{changed: make(chan struct{})}, stranded: map[string]string{},
	}
	e.offering, e.enough = context.WithCancelCause(claim)
	defer e.enough(nil)
	e.recorder = newRecorder(e)

	for _, s := range servers {
		l := newLane(e, s)
		e.lanes = append(e.lanes, l)
		if len(servers) > 1 {
			l.pace.hold, l.Log = holdMost, l.Log.With("server", l.Name)
			l.pinned = make(chan store.Job, max(1, o.Batch/2/len(servers)))
		}
		for range l.Connections {
			e.workers = append(e.workers, &worker{lane: l, compose: composers(l)})
		}
	}
	// What the workers compose ahead is taken off the buffer: no more rows are claimed than two batches and three a connection, and those
	// of a slow domain that go back to the queue at that moment.
	e.jobs = make(chan store.Job, max(1, o.Batch-len(e.workers)))

	var recording, working, telling sync.WaitGroup
	recording.Go(e.recorder.run)
	learning, learned := context.WithCancel(work)
	defer learned()
	for _, l := range e.lanes {
		if l.Learned != nil {
			telling.Go(func() { l.tell(learning) })
		}
	}
	for _, w := range e.workers {
		working.Go(w.run)
	}
	err := e.feed()
	if cause := context.Cause(claim); err == nil && cause != nil {
		err = stopped(cause)
	}
	if err == nil {
		err = e.waitFor()
	}
	cancel(nil) // a worker that waits for a better moment has nothing to wait for
	working.Wait()
	learned()
	telling.Wait()
	e.release()
	for _, l := range e.lanes {
		l.endBounces(err == nil)
	}
	e.recorder.end()
	recording.Wait()
	var returned error
	for _, l := range e.lanes {
		o.Stats.Servers = append(o.Stats.Servers, l.stats())
		returned = errors.Join(returned, l.pace.end(context.WithoutCancel(work)))
	}
	returned = errors.Join(returned, e.domains.end(context.WithoutCancel(work)))
	if fatal := e.recorder.failed; fatal != nil {
		return fatal
	}
	if err == nil && returned != nil {
		return fmt.Errorf("give back what was not used of the limits: %w", returned)
	}
	return err
}

// composers are as many as there are messages at a time that are composed and not sent.
func composers(l *lane) []Compose {
	all := make([]Compose, max(3, min(l.Pipeline, groupMost)))
	for i := range all {
		all[i] = l.Compose()
	}
	return all
}

func (o Options) withDefaults() Options {
	if o.Batch == 0 {
		o.Batch = 100
	}
	if o.Attempts == 0 {
		o.Attempts = 5
	}
	if o.BackoffMin == 0 {
		o.BackoffMin = time.Minute
	}
	if o.BackoffMax == 0 {
		o.BackoffMax = 4 * time.Hour
	}
	if o.Replies == nil {
		o.Replies = reply.NewClassifier(nil)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Stats == nil {
		o.Stats = &Stats{}
	}
	return o
}

// An engine is one run. The fields are set before the goroutines start, or are safe for all of them.
type engine struct {
	Options
	queue       Queue
	work, claim context.Context
	cancel      context.CancelCauseFunc   // ends claim, with the reason
	offering    context.Context           // ends with claim, or when no more may be offered; what has leave goes on
	enough      context.CancelCauseFunc   // ends offering, with the reason
	jobs        chan store.Job            // from the feeder to the workers; closed by the feeder
	settled     chan struct{}             // signals that outcomes were recorded, or that something parked may go
	held        atomic.Int64              // jobs claimed whose outcome is not recorded yet
	returned    atomic.Int64              // jobs put back untried
	firstUp     atomic.Pointer[time.Time] // since when there are sessions, if there are
	domains     *domains
	aside       time.Time         // when the last of what was put aside is due,
	asides      int               // how many were,
	hasty       bool              // and whether the last claim brought nothing else; touched by the feeder only, all three
	stranded    map[string]string // why recipients wait for a server, by its name; guarded by lanesMu
	recorder    *recorder
	lanes       []*lane
	lanesMu     sync.Mutex
	turns       turns
	workers     []*worker // of all lanes
}

// stopped is the error for why no more was claimed.
func stopped(cause error) error {
	if s, ok := cause.(*StopError); ok {
		return s
	}
	return &StopError{Reason: cause.Error(), Err: cause}
}

// feed owns the schedule. It returns when nothing more is to be handed out, with jobs closed.
func (e *engine) feed() (err error) {
	defer close(e.jobs)
	defer func() {
		e.domains.clear(func(j store.Job) { e.takeBack([]store.Job{j}) })
		if err == nil && e.claim.Err() == nil && e.offering.Err() != nil {
			err = e.finish()
		}
	}()
	claimed := 0
	for e.offering.Err() == nil {
		held := e.held.Load() // before the look at anything else: what is settled after it wakes us
		e.domains.excuse(e.behind)
		free, err := e.domains.release(e.offering, e.hand)
		if err != nil {
			return fmt.Errorf("limits of a domain: %w", err)
		}
		n := e.Batch
		if e.Limit > 0 {
			n = min(n, e.Limit-claimed+int(e.returned.Load()))
		}
		limited := n <= 0
		if e.domains.parked >= e.Batch {
			e.domains.shed(time.Now(), e.Batch, e.upSince(), e.waiting(), e.putAside)
		}
		full := e.domains.parked+e.pinned() >= e.Batch
		if n = min(n, e.Batch-e.domains.parked-e.pinned()); e.hasty {
			n = 0
		}
		var jobs []store.Job
		if n > 0 {
			err = e.stubbornly(e.claim, func() (again bool, err error) {
				jobs, err = e.queue.Claim(e.claim, n)
				return store.Transient(err), err
			})
			if err != nil && e.claim.Err() != nil {
				return nil
			}
			if err != nil {
				return fmt.Errorf("claim: %w", err)
			}
		}
		if len(jobs) == 0 {
			more, err := e.idle(held, free, limited, full)
			if err != nil || !more {
				return err
			}
			continue
		}
		claimed += len(jobs)
		e.held.Add(int64(len(jobs)))
		asides := e.asides
		for i, j := range jobs {
			v := e.domains.get(j.Domain)
			ok := false
			if len(v.parked) == 0 { // else they would overtake
				if ok, err = e.domains.admit(e.offering, v, time.Now()); err != nil {
					e.takeBack(jobs[i:])
					return fmt.Errorf("limits of a domain: %w", err)
				}
			}
			switch {
			case ok:
				if !e.hand(j) {
					e.takeBack(jobs[i+1:])
					return nil
				}
				v.recovered(time.Now())
			case v.slow && len(v.parked) >= v.keep:
				e.putAside(j, v.comeBack(time.Now()))
			default:
				e.domains.park(v, j)
			}
		}
		e.hasty = e.asides-asides == len(jobs)
	}
	return nil
}

// asidePause is between two claims that bring only rows that are put aside.
const asidePause = 10 * time.Millisecond

// putAside gives a job of a slow domain, or one that is pinned to a slow server, back to the queue for a while.
func (e *engine) putAside(j store.Job, due time.Time) {
	e.aside = later(e.aside, due)
	e.asides++
	e.returned.Add(1)
	e.recorder.finish(store.Outcome{Job: j, State: store.Queued, Due: due})
}

// hand gives an admitted job to the workers; false: it was put back, as there are to be no more.
func (e *engine) hand(j store.Job) bool {
	if j.Server != "" && !e.goesAnywhere(j) {
		return true
	}
	select {
	case e.jobs <- j:
		return true
	case <-e.offering.Done():
		e.putBack(j)
		return false
	}
}

// takeBack returns jobs that were not admitted.
func (e *engine) takeBack(jobs []store.Job) {
	for _, j := range jobs {
		e.returned.Add(1)
		e.recorder.finish(store.Outcome{Job: j, State: store.Queued})
	}
}

// finish takes back what no worker has taken, and waits for what may still be offered. It returns why that is all.
func (e *engine) finish() error {
	e.releasePinned(e.putBack)
	for e.held.Load() > 0 {
		select {
		case j := <-e.jobs:
			e.putBack(j)
		case <-e.settled:
		case <-e.claim.Done():
			return nil
		}
	}
	return stopped(context.Cause(e.offering))
}

// idle waits until there may be something to claim, or something parked is free, or with limited, until a job comes back untried. It reports false
// when there is nothing to wait for.
func (e *engine) idle(held int64, free time.Time, limited, full bool) (more bool, err error) {
	counts, due, err := e.queue.Pending(e.claim)
	if err != nil {
		if e.claim.Err() != nil {
			return false, nil
		}
		return false, fmt.Errorf("look for what is due: %w", err)
	}
	wait := time.Until(due)
	worth := counts.Queued > 0 && (wait <= e.Wait || time.Now().Before(e.aside))
	if held == 0 && !worth {
		return false, nil
	}
	if held == 0 && limited {
		return false, &StopError{Reason: fmt.Sprintf("the limit of %d messages for this run is reached", e.Limit)}
	}
	var timer <-chan time.Time
	switch {
	case limited:
	case e.hasty:
		timer, e.hasty = time.After(asidePause), false
	case full: // the look at what is stuck makes room, or something comes to an end
	case worth:
		timer = time.After(max(wait, 0) + time.Millisecond)
	}
	var freed <-chan time.Time
	if !free.IsZero() {
		freed = time.After(max(time.Until(free), time.Millisecond))
	}
	var stuck <-chan time.Time
	if held > 0 {
		ticker := time.NewTicker(stuckAfter)
		defer ticker.Stop()
		stuck = ticker.C
	}
	e.recorder.hurried(true)
	defer e.recorder.hurried(false)
	for {
		select {
		case <-timer:
		case <-freed:
		case <-e.settled:
		case <-e.offering.Done():
		case <-stuck:
			returned := e.releasePinned(e.pinAside) // others of their domains may wait for them
			for _, w := range e.workers {
				returned = w.returnUpcoming() || returned
			}
			if !returned && e.domains.parked == 0 { // some of what is parked may go now, or has to make room
				continue
			}
		}
		return true, nil
	}
}

// stuckAfter is how long nothing comes to an end, while others have nothing to do, until what a worker has in store for later
// is given to them.
const stuckAfter = 250 * time.Millisecond

// release gives back what was handed out and not taken. The workers have ended.
func (e *engine) release() {
	for j := range e.jobs {
		e.putBack(j)
	}
	e.releasePinned(e.putBack)
}

// upSince is since when there are sessions; zero: there are none.
func (e *engine) upSince() (t time.Time) {
	if first := e.firstUp.Load(); first != nil && e.Stats.Connections.Load() > 0 {
		t = *first
	}
	return t
}

// waiting is how long messages to each domain wait for a server.
func (e *engine) waiting() map[string]service {
	all := map[string]service{}
	for _, w := range e.workers {
		if t := w.waits.Load(); t != nil {
			s := all[t.Domain]
			s.add(service{time.Since(t.since), 1})
			all[t.Domain] = s
		}
	}
	return all
}

// behind counts the messages to each domain that wait because the server has not answered one to another domain for a while.
func (e *engine) behind() map[string]int {
	all := map[string]int{}
	for _, w := range e.workers {
		first := w.waits.Load()
		if first == nil || time.Since(first.since) < stuckAfter {
			continue
		}
		for t := first.next.Load(); t != nil; t = t.next.Load() {
			if t.Domain != first.Domain {
				all[t.Domain]++
			}
		}
	}
	return all
}

// done notes that the workers have one job less, as domains.done does, and wakes the feeder if it has another one for that.
func (e *engine) done(j store.Job, by service, answered bool, back store.Unsent) {
	if e.domains.done(j.Domain, by, answered, back) {
		select {
		case e.settled <- struct{}{}:
		default:
		}
	}
}

// putBack returns a job as if it had not been claimed: nothing of it was sent, the attempt does not count.
func (e *engine) putBack(j store.Job) {
	e.done(j, service{}, false, untried)
	e.returned.Add(1)
	e.recorder.finish(store.Outcome{Job: j, State: store.Queued})
}
