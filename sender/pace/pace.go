// Package pace says when the next message may be offered to a server, how many connections it lets in, and how much of the work a domain
// of recipients may have. Numbers and times go in, numbers and times come out: it knows nothing of sessions, queues and messages.
//
// A [Limiter] holds a message until the campaign's window is open, until its turn has come in the waiting line at the rate that the
// server was found to take (adaptive.go), and until the limits of the campaign file allow it, which all processes share (grants.go). A [Window]
// finds the connections that a server lets in, a [Domain] the messages at a time that a domain takes.
package pace

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"
)

// Options say what a Limiter goes by. The zero value of a field means what its comment says.
type Options struct {
	Open   func(time.Time) (open bool, next time.Time) // whether messages may be sent, and when that changes; nil: always
	Limits Reserver                                    // nil: none
	Rate   float64                                     // messages a second that the server was found to take before; 0: not known
	Stay   time.Duration                               // what is possible only after that is a NotBeforeError, unless it is by a rate
	Hold   time.Duration                               // what is possible only after that is a DelayError; 0: it is waited for
}

// A Limiter says when the next message may be offered. All goroutines may use it.
type Limiter struct {
	open       func(time.Time) (open bool, next time.Time) // nil: always
	stay, hold time.Duration
	grants     *Grants // nil: there are no limits

	mu       sync.Mutex // guards what follows; it may be locked by who holds grants.mu, and not the other way round
	adaptive *adaptive
	line     line   // of those that wait for the server
	episode  int    // how often the server began to throttle; a permit from before that is void
	said     string // what the server said then
	stage    int    // how far a message had come when the server last throttled
}

// NewLimiter begins with the rate that was found before.
func NewLimiter(o Options) *Limiter {
	if o.Hold == 0 {
		o.Hold = math.MaxInt64 // longer than any wait
	}
	return &Limiter{open: o.Open, stay: o.Stay, hold: o.Hold, grants: NewGrants(o.Limits, o.Stay), adaptive: newAdaptive(o.Rate)}
}

// A NotBeforeError is that nothing may be offered for longer than the caller stays.
type NotBeforeError struct {
	Reason string
	Until  time.Time // it goes on then
}

func (e *NotBeforeError) Error() string {
	return fmt.Sprintf("%s; it goes on at %s", e.Reason, e.Until.Local().Format("2006-01-02 15:04:05 MST"))
}

// notFor is why nothing may be offered for so long.
func notFor(d time.Duration, reason string) *NotBeforeError {
	return &NotBeforeError{Reason: reason, Until: time.Now().Add(d)}
}

// A DelayError is that a message would have to wait for so long, which is longer than it is held: another server may take it.
type DelayError time.Duration

func (e DelayError) Error() string { return "not before " + time.Duration(e).String() }

// A Permit allows its holder to offer one message, until the server begins to throttle: see Holds.
type Permit struct {
	episode int
	counted time.Time // when the limits count it; zero: there are none
}

// A Sleeper sleeps for a time, unless it is woken. An error is that there is nothing more to wait for.
type Sleeper func(d time.Duration, woken <-chan struct{}) error

// Sleep sleeps for d, or not at all, unless ctx ends or it is woken.
func Sleep(ctx context.Context, d time.Duration, woken <-chan struct{}) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-woken:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lookUp is how often one that waits behind others in line looks up at the least, for the caller to see to its session: many servers close one
// that is idle for longer.
const lookUp = 10 * time.Second

// Try gives a permit if that is possible without waiting, and nobody else waits. want is how many messages could be sent soon.
func (l *Limiter) Try(ctx context.Context, want int) (Permit, bool) {
	at := time.Now()
	if l.shut(at) > 0 {
		return Permit{}, false
	}
	var p Permit
	if l.grants != nil {
		// Another goroutine may hold the lock while it waits for the queue. This one has something better to do.
		if !l.grants.mu.TryLock() {
			return Permit{}, false
		}
		defer l.grants.mu.Unlock()
		if _, err := l.grants.take(ctx, at, 0, want); err != nil {
			return Permit{}, false
		}
		p.counted = l.grants.grant.Counted()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	ok := len(l.line) == 0
	if ok {
		_, ok = l.adaptive.offer(at, 0)
	}
	if !ok && l.grants != nil {
		l.grants.taken-- // the grant is still the same
	}
	p.episode = l.episode
	return p, ok
}

// Wait gives a permit as soon as that is possible. The caller says how to sleep. It is a *NotBeforeError or a DelayError when that takes too
// long; any other error is the sleeper's or the Reserver's.
func (l *Limiter) Wait(ctx context.Context, sleep Sleeper, want int) (Permit, error) {
	for {
		if d := l.shut(time.Now()); d > l.stay {
			return Permit{}, notFor(d, "outside of the time in which the campaign may be sent (not_before, send_window)")
		} else if d > l.hold {
			return Permit{}, DelayError(d)
		} else if d > 0 {
			if err := sleep(d, nil); err != nil {
				return Permit{}, err
			}
		}
		p, err := l.queue(sleep)
		if err != nil {
			return Permit{}, err
		}
		if p.counted, err = l.grants.wait(ctx, sleep, l.hold, want); err != nil {
			return Permit{}, err
		}
		// The server may have throttled meanwhile, or the time for it is over. What was taken is given up then: kept, it would let
		// every worker send at the moment when the pause ends.
		if l.Holds(p) && l.shut(time.Now()) == 0 {
			return p, nil
		}
		l.Return(p, Untried)
	}
}

// queue waits in line for the server's next moment, and takes it.
func (l *Limiter) queue(sleep Sleeper) (Permit, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	came, woken := time.Now(), l.line.join()
	defer func() { l.line.leave(woken) }()
	for {
		now, ahead := time.Now(), l.line.ahead(woken)
		first := ahead == 0
		d, ok := l.adaptive.after(now, ahead), false
		if first {
			d, ok = l.adaptive.offer(now, l.hold)
		}
		p := Permit{episode: l.episode}
		switch pause := l.adaptive.until.Sub(now); {
		case ok && d == 0:
			return p, nil
		case !ok && l.adaptive.pause > 0 && pause > l.stay:
			return Permit{}, notFor(pause, "the server throttles: "+l.said)
		case !ok && d > l.hold:
			return Permit{}, DelayError(d)
		}
		near := ok && d <= 2*lateMost
		if near {
			l.line.leave(woken) // the next one need not wait until this one is awake
		}
		l.mu.Unlock()
		var err error
		if first {
			err = sleep(d, nil)
		} else { // until it is woken; looking up now and then, for the session not to idle and others to take the message
			err = sleep(min(max(d+now.Sub(came), lookUp), l.hold), woken)
		}
		l.mu.Lock()
		if err != nil || near || ok && p.episode == l.episode {
			return p, err
		}
	}
}

// Holds reports whether a permit is still good.
func (l *Limiter) Holds(p Permit) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return p.episode == l.episode
}

// shut is for how long the campaign may not be sent.
func (l *Limiter) shut(at time.Time) time.Duration {
	if l.open == nil {
		return 0
	}
	if open, next := l.open(at); !open {
		return next.Sub(at)
	}
	return 0
}

// Return gives a permit back by which no message was taken.
func (l *Limiter) Return(p Permit, use Use) { l.grants.Return(p.counted, use) }

// End gives back what was not used of the limits.
func (l *Limiter) End(ctx context.Context) error { return l.grants.End(ctx) }

// Found is the messages a second that the server was found to take; 0: no limit was found.
func (l *Limiter) Found() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.adaptive.found()
}

// Throttled makes everybody slow down, after a pause, as the server said something at a stage of a message that was offered then. It
// returns how long the pause is, and whether it is news.
func (l *Limiter) Throttled(offered, now time.Time, stage int, said string) (pause time.Duration, begun bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stage = stage
	pause, begun = l.adaptive.throttle(offered, now)
	if begun {
		l.episode++
		l.said = said
	}
	return pause, begun
}

// Passed notes that a message got to a stage, and was taken there or refused for a reason of its own. Where the server does not throttle later
// than that, it shows what the server takes as well as one that was taken: else there would be no end to a pause while the server greylists
// everybody.
func (l *Limiter) Passed(offered, now time.Time, stage int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if stage < l.stage {
		l.adaptive.other(offered)
		return
	}
	l.adaptive.accept(offered, now)
}

// Unclear notes a reply that says nothing about the speed.
func (l *Limiter) Unclear(offered time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.adaptive.other(offered)
}
