package sender

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"mailblast/campaign/text"
	"mailblast/sender/reply"
	"mailblast/store"
)

// Limits give leave to send, as store.Store's Reserve and Return do for one server.
type Limits interface {
	Reserve(ctx context.Context, want int) (store.Grant, error)
	Return(ctx context.Context, u store.Unsent) error
}

// pace says when the next message may be offered: while the campaign may be sent, by what the server was found to take, and by the
// limits. It may be used by all goroutines.
type pace struct {
	open   func(time.Time) (open bool, next time.Time) // nil: always
	limits Limits                                      // nil: none
	stay   time.Duration                               // what takes longer ends the sending over this server
	hold   time.Duration                               // for so long a message waits, when others could take it

	mu       sync.Mutex
	adaptive *adaptive
	line     line        // of those that wait for the server
	episode  int         // how often the server began to throttle; what may be sent since before may not any more
	said     string      // what it said then
	stage    reply.Stage // it was at that

	granting sync.Mutex // guards what follows
	grant    store.Grant
	taken    int            // of the grant
	since    time.Time      // the grant was given
	unused   []store.Unsent // of grants, to be returned
}

func newPace(s Server, o Options) *pace {
	return &pace{open: o.Open, limits: s.Limits, stay: o.Wait, hold: forever, adaptive: newAdaptive(s.Rate)}
}

const (
	// forever is longer than any wait for a limit.
	forever time.Duration = math.MaxInt64

	// holdMost is for how long a message waits for its server's time while another server could take it.
	holdMost = time.Second

	// wantMost is how many messages are reserved at a time.
	wantMost = 4000
)

// A pass is leave to offer one message, until the server begins to throttle: see holds.
type pass struct {
	episode int
	counted time.Time // by the limits; zero: there are none
}

// now takes one message's worth of everything if that is possible without waiting, and nobody else waits. want is how many could be sent
// soon.
func (p *pace) now(ctx context.Context, want int) (pass, bool) {
	at := time.Now()
	if p.shut(at) > 0 {
		return pass{}, false
	}
	// Whoever waits for the queue here has nothing better to do; this one has.
	if p.limits != nil && !p.granting.TryLock() {
		return pass{}, false
	}
	var given pass
	if p.limits != nil {
		defer p.granting.Unlock()
		if _, err := p.take(ctx, at, 0, want); err != nil {
			return pass{}, false
		}
		given.counted = p.grant.Counted()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	ok := len(p.line) == 0
	if ok {
		_, ok = p.adaptive.offer(at, 0)
	}
	if !ok && p.limits != nil {
		p.taken-- // the grant is still the same
	}
	given.episode = p.episode
	return given, ok
}

// A laterError is that a message would have to wait for longer than p.hold: others may take it.
type laterError time.Duration

func (e laterError) Error() string { return "not before " + time.Duration(e).String() }

// A sleeper sleeps for a time, unless it is woken. An error is that there is nothing more to wait for.
type sleeper func(d time.Duration, woken <-chan struct{}) error

// wait takes one message's worth of everything as soon as that is possible. The caller says how to sleep. It is a *StopError when that
// takes too long, unless it is by a rate, and a laterError when it takes longer than the message is held.
func (p *pace) wait(ctx context.Context, sleep sleeper, want int) (pass, error) {
	for {
		if d := p.shut(time.Now()); d > p.stay {
			return pass{}, goesOn("outside of the time in which the campaign may be sent (not_before, send_window)", d)
		} else if d > p.hold {
			return pass{}, laterError(d)
		} else if d > 0 {
			if err := sleep(d, nil); err != nil {
				return pass{}, err
			}
		}
		now, err := p.stand(sleep)
		if err != nil {
			return pass{}, err
		}
		if now.counted, err = p.leave(ctx, sleep, want); err != nil {
			return pass{}, err
		}
		// The server may have throttled meanwhile, or the time for it is over. What was taken is given up then: kept, it would let
		// every worker send at the moment when the pause ends.
		if p.holds(now) && p.shut(time.Now()) == 0 {
			return now, nil
		}
		p.giveBack(now, untried)
	}
}

// stand stands in line for the server, and takes one message's worth of what it was found to take.
func (p *pace) stand(sleep sleeper) (pass, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	came, woken := time.Now(), p.line.join()
	defer func() { p.line.leave(woken) }()
	for {
		now, ahead := time.Now(), p.line.ahead(woken)
		first := ahead == 0
		d, ok := p.adaptive.after(now, ahead), false
		if first {
			d, ok = p.adaptive.offer(now, p.hold)
		}
		given := pass{episode: p.episode}
		switch pause := p.adaptive.until.Sub(now); {
		case ok && d == 0:
			return given, nil
		case !ok && p.adaptive.pause > 0 && pause > p.stay:
			return pass{}, goesOn("the server throttles: "+p.said, pause)
		case !ok && d > p.hold:
			return pass{}, laterError(d)
		}
		near := ok && d <= 2*lateMost
		if near {
			p.line.leave(woken) // the next one need not wait until this one is awake
		}
		p.mu.Unlock()
		var err error
		if first {
			err = sleep(d, nil)
		} else { // until it is woken; looking up now and then, for the session not to idle and others to take the message
			err = sleep(min(max(d+now.Sub(came), idleMost), p.hold), woken)
		}
		p.mu.Lock()
		if err != nil || near || ok && given.episode == p.episode {
			return given, err
		}
	}
}

// goesOn is why a run ends that could go on in a while.
func goesOn(reason string, d time.Duration) *StopError {
	until := time.Now().Add(d)
	return &StopError{Reason: fmt.Sprintf("%s; it goes on at %s", reason, until.Local().Format("2006-01-02 15:04:05 MST")), Until: until}
}

// holds reports whether a pass is still good.
func (p *pace) holds(given pass) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return given.episode == p.episode
}

// shut is for how long the campaign may not be sent.
func (p *pace) shut(at time.Time) time.Duration {
	if p.open == nil {
		return 0
	}
	if open, next := p.open(at); !open {
		return next.Sub(at)
	}
	return 0
}

// leave takes one message's worth of the limits as soon as that is possible. It returns when that was counted.
func (p *pace) leave(ctx context.Context, sleep sleeper, want int) (counted time.Time, err error) {
	for p.limits != nil {
		p.granting.Lock()
		wait, err := p.take(ctx, time.Now(), p.hold, want)
		counted = p.grant.Counted()
		p.granting.Unlock()
		switch {
		case err != nil && !errors.Is(err, errNotYet):
			return counted, err
		case err != nil && wait > p.hold:
			return counted, laterError(wait)
		}
		if err == nil && wait == 0 {
			return counted, nil // what has leave goes on, also where somebody else has just heard that there is no more
		}
		if slept := sleep(wait, nil); slept != nil {
			if err == nil {
				p.giveBack(pass{counted: counted}, untried)
			}
			return counted, slept
		}
		if err == nil {
			return counted, nil
		}
	}
	return counted, nil
}

// errNotYet is that nothing was taken: ask again after the wait.
var errNotYet = errors.New("not yet")

// take takes one message's worth of the limits, which may be sent after the wait, unless that is longer than most: then it takes
// nothing. The caller holds granting.
func (p *pace) take(ctx context.Context, at time.Time, most time.Duration, want int) (wait time.Duration, err error) {
	for {
		for ; p.taken < p.grant.N; p.taken++ {
			due := p.grant.From.Add(time.Duration(p.taken) * p.grant.Every)
			if at.After(due.Add(p.grant.Slack)) {
				p.keep(store.Unsent{N: 1, Counted: p.grant.Counted()})
				continue
			}
			if wait = max(due.Sub(at), 0); wait > most {
				return wait, errNotYet
			}
			p.taken++
			return wait, nil
		}
		if wait = p.grant.From.Sub(at); p.grant.N == 0 && wait > 0 && p.grant.Used.N == 0 {
			return wait, errNotYet
		}
		if err := p.reserve(ctx, at, want); err != nil {
			return 0, err
		}
		at = time.Now() // the grant is from a moment ago
		if p.grant.N > 0 {
			continue
		}
		wait = p.grant.From.Sub(at)
		if used := p.grant.Used; used.N > 0 && wait > p.stay {
			return 0, goesOn(fmt.Sprintf("the quota of %d messages in %s is used up", used.N, text.Period(used.Per)), wait)
		}
		return wait, errNotYet
	}
}

// reserve gets the next grant. The caller holds granting.
func (p *pace) reserve(ctx context.Context, at time.Time, want int) (err error) {
	if err := p.returnUnused(ctx); err != nil {
		return err
	}
	// Enough for half a second: one that did not last as long is followed by a larger one.
	want = max(want, 1)
	if last := p.grant.N; last > 0 && at.Sub(p.since) < 250*time.Millisecond {
		want = max(want, 2*last)
	}
	p.since, p.taken = at, 0
	p.grant, err = p.limits.Reserve(ctx, min(want, wantMost))
	if err != nil {
		p.grant = store.Grant{}
	}
	return err
}

// untried is what is given back of a message that was not offered to the server, and refused of one that was offered and not taken.
var (
	untried = store.Unsent{N: 1}
	refused = store.Unsent{N: 1, Offered: 1}
)

// giveBack notes that a message for which there was leave was not taken.
func (p *pace) giveBack(given pass, u store.Unsent) {
	if p.limits == nil {
		return
	}
	p.granting.Lock()
	defer p.granting.Unlock()
	u.Counted = given.counted
	p.keep(u)
}

// keep keeps what is to be returned, together where it was counted together. The caller holds granting.
func (p *pace) keep(u store.Unsent) {
	for i := range p.unused {
		if same := &p.unused[i]; same.Counted.Equal(u.Counted) {
			same.N += u.N
			same.Offered += u.Offered
			return
		}
	}
	p.unused = append(p.unused, u)
}

// returnUnused returns what was not used. The caller holds granting.
func (p *pace) returnUnused(ctx context.Context) error {
	for len(p.unused) > 0 {
		if err := p.limits.Return(ctx, p.unused[0]); err != nil {
			return err
		}
		p.unused = p.unused[1:]
	}
	return nil
}

// end gives back what was not used.
func (p *pace) end(ctx context.Context) error {
	if p.limits == nil {
		return nil
	}
	p.granting.Lock()
	defer p.granting.Unlock()
	if n := p.grant.N - p.taken; n > 0 {
		p.keep(store.Unsent{N: n, Counted: p.grant.Counted()})
		p.taken = p.grant.N
	}
	return p.returnUnused(ctx)
}

// found is the rate that the server was found to take; 0: no limit was found.
func (p *pace) found() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.adaptive.found()
}

// throttled makes everybody slow down, after a pause. It returns how long that is, and whether it is news.
func (p *pace) throttled(offered, now time.Time, stage reply.Stage, said string) (pause time.Duration, begun bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stage = stage
	pause, begun = p.adaptive.throttle(offered, now)
	if begun {
		p.episode++
		p.said = said
	}
	return pause, begun
}

// passed notes that a message got so far, and was taken there or refused for a reason of its own. Where the server does not throttle later
// than that, it shows what the server takes as well as one that was taken: else there would be no end to a pause while the server greylists
// everybody.
func (p *pace) passed(offered, now time.Time, stage reply.Stage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if stage < max(p.stage, reply.Rcpt) {
		p.adaptive.other(offered)
		return
	}
	p.adaptive.accept(offered, now)
}

// unclear notes a reply that says nothing about the speed.
func (p *pace) unclear(offered time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.adaptive.other(offered)
}

// sleep sleeps for d, or not at all, unless ctx ends or it is woken.
func sleep(ctx context.Context, d time.Duration, woken <-chan struct{}) error {
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
