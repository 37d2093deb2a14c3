// Package sender drains a queue: it claims recipients, has their messages composed, and carries them to a server over
// several sessions at once, or to several servers, writing down what becomes of each.
//
// One goroutine, the feeder, owns the schedule: it claims rows in batches and hands them out. Workers each own a session
// and send one message after the other, the envelope of the next one travelling with the end of this one. One
// goroutine, the recorder, owns the queue's begins and finishes: those of all workers that come in while it writes go
// into its next transaction. No message's last byte leaves before the recorder has answered that its begin is
// durable.
//
// A run sends over one route or several: a server, with its limits. Each has a lane of its own: its workers, its speed and its troubles. One that
// cannot be used is left out, and the others take the messages; when none is left the run stops.
//
// Stopping goes the same way: the feeder claims no more, the workers finish what they hold, the recorder writes it down,
// and what was claimed and not begun goes back to the queue.
package sender

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"mailblast/campaign/mail"
	"mailblast/sender/pace"
	"mailblast/store"
)

// Queue is what Run needs of a store.Lease. After an error of Record nothing of it was written.
type Queue interface {
	Claim(ctx context.Context, w store.Want) ([]store.Job, error)
	Record(ctx context.Context, begin []store.Job, finish []store.Outcome) (kept []store.Job, err error)
	Pending(ctx context.Context) (store.Counts, time.Time, error)
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
	Log          *slog.Logger
	Stats        *Stats // is kept up to date for whoever shows progress; may be nil
}

// Stats counts what this run did. A deferred recipient is counted each time.
type Stats struct {
	Sent, Failed, Deferred, InDoubt, Connections atomic.Int64

	// What was found out about each route, in their order, when Run has returned.
	Routes []RouteStats
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

// Run drains q over the routes, of which there is at least one, until nothing is left that is due within o.Wait. It returns nil then; a
// *StopError when no server can be used, or when claim ended or o.Limit was reached before that; any other error when the queue cannot be
// written.
//
// Two contexts: when claim ends, no further message is begun, and those under way are finished. When work ends too,
// connections are cut, and messages whose reply is awaited are in doubt. What happened is written down even then.
func Run(work, claim context.Context, q Queue, routes []Route, o Options) error {
	o = o.withDefaults()
	claim, stop := context.WithCancelCause(claim)
	defer stop(nil)
	defer context.AfterFunc(work, func() { stop(context.Cause(work)) })()
	e := newEngine(work, claim, stop, q, routes, o)
	defer e.stopOffers(nil)
	err := e.drain()
	for _, l := range e.lanes {
		o.Stats.Routes = append(o.Stats.Routes, l.stats())
	}
	if returned := e.returnGrants(context.WithoutCancel(work)); err == nil {
		err = returned
	}
	return err
}

// Goroutines and locks of a run. Run starts these goroutines, and returns after the last of them has ended:
//
//	feeder    Run's own: claims, and hands out by e.jobs. It ends when nothing is left to hand out, or claim has ended, and closes e.jobs
//	worker    one for each connection: owns its session. It ends when it holds nothing and e.jobs is closed and empty or claim has ended, or
//	          when its server is left out until the run ends
//	recorder  one: owns the queue's begins and finishes. It ends when the workers have ended and everything is written
//	reporter  one for each route that wants to know what was learned. It ends after the workers
//
// Besides, when work ends, context.AfterFunc ends claim and closes the sessions, each from a goroutine of its own which does nothing else.
//
// Locks. Whoever holds one may take only those that stand behind it, and none is held while waiting for a disk, a server or a channel, but for
// Grants.mu, which is held while the queue grants messages:
//
//	belief.mu, turns.mu, lanesMu                 of the lanes; recorder.mu and those of pace may follow
//	Domains.mu, Grants.mu, Limiter.mu, Window.mu of pace; recorder.mu may follow Domains.mu
//	recorder.mu

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
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Stats == nil {
		o.Stats = &Stats{}
	}
	return o
}
