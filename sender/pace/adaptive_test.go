package pace

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// A limiter is a server that takes so much: it says whether it takes a message that arrives now over a connection.
type limiter func(now time.Time, connection int) bool

// fixedWindow takes n in each window, which begin at the full minute, so to speak.
func fixedWindow(n int, per time.Duration) limiter {
	var window time.Time
	taken := 0
	return func(now time.Time, _ int) bool {
		if w := now.Truncate(per); !w.Equal(window) {
			window, taken = w, 0
		}
		if taken >= n {
			return false
		}
		taken++
		return true
	}
}

// slidingWindow takes n in any time that long.
func slidingWindow(n int, per time.Duration) limiter {
	var taken []time.Time
	return func(now time.Time, _ int) bool {
		for len(taken) > 0 && now.Sub(taken[0]) >= per {
			taken = taken[1:]
		}
		if len(taken) >= n {
			return false
		}
		taken = append(taken, now)
		return true
	}
}

// tokenBucket takes rate messages a second, and burst at once after a lull.
func tokenBucket(rate, burst float64) limiter {
	tokens, last := burst, time.Time{}
	return func(now time.Time, _ int) bool {
		if !last.IsZero() {
			tokens = min(burst, tokens+rate*now.Sub(last).Seconds())
		}
		last = now
		if tokens < 1 {
			return false
		}
		tokens--
		return true
	}
}

// perConnection has a limiter for each connection.
func perConnection(one func() limiter) limiter {
	all := map[int]limiter{}
	return func(now time.Time, connection int) bool {
		if all[connection] == nil {
			all[connection] = one()
		}
		return all[connection](now, connection)
	}
}

// warmup takes more every day.
func warmup(start int, factor float64, then limiter) limiter {
	var begun time.Time
	day, taken := -1, 0
	return func(now time.Time, c int) bool {
		if begun.IsZero() {
			begun = now
		}
		if d := int(now.Sub(begun) / (24 * time.Hour)); d != day {
			day, taken = d, 0
		}
		if float64(taken) >= float64(start)*math.Pow(factor, float64(day)) || !then(now, c) {
			return false
		}
		taken++
		return true
	}
}

// A simulation is what became of messages offered over connections whose replies take a round trip.
type simulation struct {
	accepted, throttled           int // in all
	acceptedLater, throttledLater int // after the first ten seconds
}

// simulate offers messages for so long over so many connections, which wait for their turn in line. A round trip takes up to
// half as long again, and a timer is up to a millisecond late.
func simulate(a *adaptive, server limiter, connections int, roundTrip, length time.Duration) simulation {
	type offer struct {
		at, back   time.Time
		taken      bool
		connection int
	}
	var s simulation
	chance := rand.New(rand.NewPCG(1, 2))
	start := time.Date(2026, 1, 1, 0, 0, 0, 123456, time.UTC)
	var flying []offer
	var idle []int
	for c := range connections {
		idle = append(idle, c)
	}
	turn := start // when the first in line asks
	for now := start; now.Sub(start) < length; {
		first := 0
		for i, o := range flying {
			if o.back.Before(flying[first].back) {
				first = i
			}
		}
		if len(idle) == 0 || len(flying) > 0 && !flying[first].back.After(turn) {
			o := flying[first]
			flying = slices.Delete(flying, first, first+1)
			now = o.back
			idle = append(idle, o.connection)
			if o.taken {
				a.accept(o.at, now)
			} else {
				a.throttle(o.at, now)
			}
			s.count(o.taken, now.Sub(start))
			turn = later(turn, now)
			continue
		}
		now = turn
		if wait, ok := a.offer(now, 0); !ok {
			turn = now.Add(wait + time.Duration(chance.Int64N(int64(time.Millisecond))))
			continue
		}
		flying = append(flying, offer{now, now.Add(roundTrip + time.Duration(chance.Int64N(int64(roundTrip/2)))), server(now, idle[0]), idle[0]})
		idle = idle[1:]
	}
	return s
}

// count notes what became of a message after so long.
func (s *simulation) count(taken bool, after time.Duration) {
	late := after > 10*time.Second
	switch {
	case taken && late:
		s.acceptedLater++
	case late:
		s.throttledLater++
	}
	if taken {
		s.accepted++
	} else {
		s.throttled++
	}
}

// allows asserts the goal: at least 85 % of what the server allows in all, and less than 10 % of the attempts throttled after the first
// ten seconds.
func (s simulation) allows(t *testing.T, messages float64) {
	t.Helper()
	share := float64(s.accepted) / messages
	throttled := float64(s.throttledLater) / float64(max(1, s.acceptedLater+s.throttledLater))
	t.Logf("%.1f %% of what is allowed, %.1f %% throttled", 100*share, 100*throttled)
	if share < 0.85 || throttled >= 0.1 {
		t.Errorf("%.1f %% of what is allowed, %.1f %% throttled: %+v", 100*share, 100*throttled, s)
	}
}

func TestAdaptive(t *testing.T) {
	for _, rate := range []float64{0.2, 1, 3, 14, 100, 500, 2000} {
		servers := map[string]func() limiter{
			"bucket":           func() limiter { return tokenBucket(rate, max(1, rate)) },
			"bucket of 10 s":   func() limiter { return tokenBucket(rate, max(1, 10*rate)) },
			"each connection":  func() limiter { return perConnection(func() limiter { return tokenBucket(rate/10, max(1, rate/10)) }) },
			"no two at a time": func() limiter { return tokenBucket(rate, 1) },
		}
		if rate > 100 { // above that no two messages keep their distance for certain
			delete(servers, "no two at a time")
		}
		longest := time.Second
		if rate <= 100 {
			longest = time.Minute
		}
		if rate <= 3 {
			longest = time.Hour
		}
		for _, per := range []time.Duration{time.Second, 5 * time.Second, 10 * time.Second, time.Minute, time.Hour} {
			if n := int(rate * per.Seconds()); n >= 1 && per <= longest {
				servers[fmt.Sprint("fixed window of ", per)] = func() limiter { return fixedWindow(n, per) }
				servers[fmt.Sprint("sliding window of ", per)] = func() limiter { return slidingWindow(n, per) }
			}
		}
		for name, server := range servers {
			t.Run(fmt.Sprint(rate, " a second, ", name), func(t *testing.T) {
				length := max(min(3*time.Minute, seconds(50000/rate)), seconds(600/rate))
				if strings.HasSuffix(name, "1h0m0s") {
					length = 6 * time.Hour
				}
				roundTrip := 20 * time.Millisecond
				if rate*roundTrip.Seconds() > 5 {
					roundTrip = 2 * time.Millisecond
				}
				simulate(newAdaptive(0), server(), 10, roundTrip, length).allows(t, rate*length.Seconds())
			})
		}
	}
}

// A run begins at the rate that was found before, without a storm of refusals; and goes on from there.
func TestAdaptiveBeginsWhereItWas(t *testing.T) {
	for _, before := range []float64{7, 14, 140} {
		a := newAdaptive(before)
		s := simulate(a, fixedWindow(14, time.Second), 10, 20*time.Millisecond, 3*time.Minute)
		s.allows(t, 14*180)
		if n := s.throttled - s.throttledLater; before <= 14 && n > 5 {
			t.Errorf("from %v: %d were throttled in the beginning", before, n)
		}
		if a.found() < 13 || a.found() > 15 {
			t.Errorf("from %v: found %v", before, a.found())
		}
	}
	if a := newAdaptive(0); a.found() != 0 {
		t.Errorf("found %v in nothing", a.found())
	}
}

// A run that begins at the end of a server's window has two windows' messages taken in a moment, and does not take window after window to come
// down from there.
func TestAdaptiveBeginsAtTheEndOfAWindow(t *testing.T) {
	const window = 4 * time.Second
	for _, left := range []time.Duration{30 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, time.Second, 2 * time.Second} {
		server := fixedWindow(40, window)
		s := simulate(newAdaptive(0), func(now time.Time, c int) bool { return server(now.Add(window-left), c) }, 5, 5*time.Millisecond, 18*time.Second)
		if all := s.acceptedLater + s.throttledLater; 10*s.throttledLater >= all {
			t.Errorf("%v before the end: %d of %d were throttled after the first ten seconds", left, s.throttledLater, all)
		}
	}
}

// A day's quota does not make the next day slow.
func TestAdaptiveWarmup(t *testing.T) {
	s := simulate(newAdaptive(0), warmup(500, 1.5, tokenBucket(14, 14)), 10, 20*time.Millisecond, 5*24*time.Hour)
	s.allows(t, 500+750+1125+1687+2531)
}

// A limit that was raised is found, and one that was lowered.
func TestAdaptiveFollows(t *testing.T) {
	for _, to := range []float64{2, 200} {
		a := newAdaptive(20)
		simulate(a, tokenBucket(to, to), 10, 2*time.Millisecond, 3*time.Minute)
		if a.found() < to*0.85 || a.found() > to*1.2 {
			t.Errorf("from 20 to %v: found %v", to, a.found())
		}
	}
}

// A server that throttles again right after the probe does not undo what it took for a minute.
func TestAdaptiveUnlucky(t *testing.T) {
	a := newAdaptive(0)
	simulate(a, tokenBucket(50, 50), 10, 2*time.Millisecond, time.Minute)
	before, now := a.found(), a.last
	next := func(throttled bool) {
		for ok := false; !ok; {
			var wait time.Duration
			wait, ok = a.offer(now, 0)
			now = now.Add(wait)
		}
		if throttled {
			a.throttle(now, now)
		} else {
			a.accept(now, now)
		}
	}
	for range 3 {
		next(true)
		next(false)
		next(false)
	}
	if found := a.found(); found < 0.7*before {
		t.Errorf("found %v, and %v before", found, before)
	}
}

// A lull teaches nothing, and saves nothing up.
func TestAdaptiveLull(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := newAdaptive(10)
	if wait, _ := a.offer(now, 0); wait > 0 {
		t.Fatalf("the first message waits %v", wait)
	}
	before := a.rate(now)
	now = now.Add(time.Hour)
	if wait, _ := a.offer(now, 0); wait > 0 {
		t.Fatalf("a message waits %v after an hour", wait)
	}
	if wait, _ := a.offer(now, 0); wait < 90*time.Millisecond {
		t.Errorf("the message after it waits %v only", wait)
	}
	if rate := a.rate(now); rate > before*1.01 {
		t.Errorf("the rate grew from %v to %v", before, rate)
	}
}

// The reply to a probe may never come.
func TestAdaptiveLostProbe(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := newAdaptive(10)
	a.offer(now, 0)
	a.throttle(now, now)
	now = now.Add(time.Second)
	if wait, _ := a.offer(now, 0); wait > 0 {
		t.Fatalf("the probe waits %v", wait)
	}
	if wait, _ := a.offer(now.Add(replyMost-time.Second), 0); wait == 0 {
		t.Error("two probes at a time")
	}
	if wait, _ := a.offer(now.Add(replyMost), 0); wait > 0 {
		t.Errorf("the next probe waits another %v", wait)
	}
}
