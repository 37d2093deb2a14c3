package sender

import (
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// pace says when the next message may be offered: by the configured rates, and after the server has throttled.
type pace struct {
	limiters []*rate.Limiter

	mu     sync.Mutex
	until  time.Time     // the server throttled: not before
	step   time.Duration // how long the last pause was
	passed bool          // a message got through since
}

const (
	pauseMin = time.Second
	pauseMax = time.Minute
)

func newPace(rates []Rate) *pace {
	p := &pace{}
	for _, r := range rates {
		// A burst is what comes at once after a lull. Of a rate by the second it is a hundredth of a second's worth, as no
		// timer is finer; of a quota by the minute, hour or day the half, so that a short list need not wait for the
		// evening. It is taken off the rate, so that no window of Per sees more than N.
		burst := max(1, int(float64(r.N)/r.Per.Seconds()/100))
		if r.Per >= time.Minute {
			burst = max(1, r.N/2)
		}
		p.limiters = append(p.limiters, rate.NewLimiter(rate.Limit(float64(r.N-burst+1)/r.Per.Seconds()), burst))
	}
	return p
}

// now takes one message's worth of all limits if that is possible without waiting.
func (p *pace) now() bool {
	at := time.Now()
	if p.pausedUntil().After(at) {
		return false
	}
	_, ok := p.reserve(at, 0)
	return ok
}

// forever is longer than any wait for a limit.
const forever time.Duration = math.MaxInt64

// wait takes one message's worth of all limits as soon as that is possible. The caller says how to sleep.
func (p *pace) wait(sleep func(time.Duration) error) error {
	for {
		if err := sleep(time.Until(p.pausedUntil())); err != nil {
			return err
		}
		delay, _ := p.reserve(time.Now(), forever)
		if err := sleep(delay); err != nil {
			return err
		}
		// The server may have throttled meanwhile. What was taken is given up then: kept, it would let every worker send
		// at the moment when the pause ends.
		if !p.pausedUntil().After(time.Now()) {
			return nil
		}
	}
}

// reserve takes one from each limiter and returns how long to wait for it, unless that is longer than most: then it
// takes nothing.
func (p *pace) reserve(at time.Time, most time.Duration) (delay time.Duration, ok bool) {
	// The lock makes it one step: a reservation can only be undone whole while nobody else has reserved behind it.
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := make([]*rate.Reservation, 0, 4)
	for _, l := range p.limiters {
		r := l.ReserveN(at, 1)
		taken = append(taken, r)
		delay = max(delay, r.DelayFrom(at))
	}
	if delay > most {
		for _, r := range taken {
			r.CancelAt(at)
		}
		return 0, false
	}
	return delay, true
}

func (p *pace) pausedUntil() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.until
}

// throttled makes everybody pause: a second at first, twice as long if no message got through since the last pause, half
// as long if one did, so that the pauses find what the server allows. Replies that come during a pause are to messages
// that were under way. It returns how long the pause is, and whether it is a new one.
func (p *pace) throttled(now time.Time) (pause time.Duration, begun bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Before(p.until) {
		return p.step, false
	}
	if p.passed {
		p.step /= 2
	} else {
		p.step *= 2
	}
	p.step = min(max(p.step, pauseMin), pauseMax)
	p.until, p.passed = now.Add(p.step), false
	return p.step, true
}

// accepted notes that a message got through.
func (p *pace) accepted(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passed = p.passed || !now.Before(p.until)
}

// sleep sleeps for d, or not at all, unless ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
