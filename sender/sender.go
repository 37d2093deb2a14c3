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

	"mailblast/campaign/mail"
	"mailblast/sender/pace"
	"mailblast/sender/reply"
	"mailblast/store"
)

// Queue is what Run needs of a store.Lease. After an error of Record nothing of it was written.
type Queue interface {
	Claim(ctx context.Context, w store.Want) ([]store.Job, error)
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
	Offer(m *mail.Message)
	Ready() (stage reply.Stage, r reply.Reply, err error)
	Send(m, next *mail.Message) (gone bool, err error) // with the envelope of next, unless it is nil
	Result() (reply.Reply, error)
	Chunking() bool
	Push(m *mail.Message) error
	Answer() (stage reply.Stage, r reply.Reply, err error)
	Broken() bool
	Quit()  // politely
	Close() // at once; may be called by another goroutine
}

// A Compose makes the message of one recipient. It belongs to one goroutine; what it returns is valid until its next
// call.
type Compose func(store.Job) (mail.Message, error)

// Options say how to drain. The zero value of a field means what its comment says.
type Options struct {
	Batch        int                                         // rows claimed at a time; 100
	Attempts     int                                         // until a recipient is given up; 5
	BackoffMin   time.Duration                               // until the second attempt, then doubled; 1m
	BackoffMax   time.Duration                               // 4h
	PerDomain    int                                         // messages to one domain of recipients at a time; 0: no limit but what is found
	DomainLimits func(domain string) pace.Reserver           // nil: none
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
		opt: o, queue: q, work: work, claim: claim, cancel: cancel,
		settled: make(chan struct{}, 1), turns: turns{changed: make(chan struct{})}, stranded: map[string]string{},
	}
	e.domains = pace.NewDomains[store.Job](o.PerDomain, o.DomainLimits, func() int { return int(o.Stats.Connections.Load()) })
	e.offering, e.enough = context.WithCancelCause(claim)
	defer e.enough(nil)
	e.recorder = newRecorder(e)

	for _, s := range servers {
		l := newLane(e, s, len(servers) > 1)
		e.lanes = append(e.lanes, l)
		if len(servers) > 1 {
			l.Log = l.Log.With("server", l.route.Name)
			l.pinned = make(chan store.Job, max(1, o.Batch/2/len(servers)))
		}
		for range l.route.Connections {
			e.workers = append(e.workers, &worker{lane: l, engine: e, compose: composers(l)})
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
		if l.route.Learned != nil {
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
		l.endBelief()
	}
	e.recorder.end()
	recording.Wait()
	var returned error
	for _, l := range e.lanes {
		o.Stats.Servers = append(o.Stats.Servers, l.stats())
		returned = errors.Join(returned, l.pace.End(context.WithoutCancel(work)))
	}
	returned = errors.Join(returned, e.domains.End(context.WithoutCancel(work)))
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
	all := make([]Compose, max(3, min(l.route.Pipeline, groupMost)))
	for i := range all {
		all[i] = l.engine.opt.Compose()
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
	opt         Options
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
	domains     *pace.Domains[store.Job]
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

// release gives back what was handed out and not taken. The workers have ended.
func (e *engine) release() {
	for j := range e.jobs {
		e.putBack(j)
	}
	e.releasePinned(e.putBack)
}

// done notes that the workers have one job less, as pace.Domains.Done does, and wakes the feeder if it has another one for that.
func (e *engine) done(j store.Job, by pace.ServiceTime, answered bool, use pace.Use) {
	if e.domains.Done(j.Domain, by, answered, use) {
		select {
		case e.settled <- struct{}{}:
		default:
		}
	}
}

// putBack returns a job as if it had not been claimed: nothing of it was sent, the attempt does not count.
func (e *engine) putBack(j store.Job) {
	e.done(j, pace.ServiceTime{}, false, pace.Untried)
	e.returned.Add(1)
	e.recorder.finish(store.Outcome{Job: j, State: store.Queued})
}
