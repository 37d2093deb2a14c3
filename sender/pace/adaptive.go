package pace

import (
	"math"
	"time"
)

// An adaptive finds out how fast a server takes messages, from nothing but the replies, and stays just under that. It is
// arithmetic: the caller says what time it is.
//
// The strategy is after the concurrency scheduler of Postfix (SCHEDULER_README: feedback; what is dead is probed by one message) and
// the recovery of CUBIC (RFC 9438 section 4.2), with a rate in the place of the window, as a rate is what providers limit:
//
//	at first:   ceiling = what was found before, else no limit
//	offer:      one message every 1/rate seconds
//	throttled:  ceiling = rate; pause = max(0.1 s, 1 message's time); probe after the pause
//	            (not when the message was offered before the last time that this was done)
//	probe:      one message, and no other until its reply:
//	              throttled: pause = 1.25 × pause; probe after it
//	              accepted:  ceiling = what the server took lately, ceiling at most (see measure). A measurement is averaged with the ceiling
//	                         before, each with the weight of the time for which it was seen. One of a short time is ceiling/2 at least: short
//	                         is up to a second, or as long as the ceiling was seen
//	                         span = twice the last one, from 1 s to the longer of 10 s and 50 messages' time
//	                                (at least half the time that was measured)
//	rate:       ceiling × (1 - 0.1 × (1 - t/span)³) where t is the time since the probe, without lulls
//
// The recovery is fast at first, levels out at the ceiling, stays there for about as long again, and then grows faster and
// faster: a limit that was raised, or was measured too low in the beginning, is found within some spans. Halving, as TCP did
// before CUBIC, would give up a quarter of the rate on average; this gives up less than a tenth.
//
// Pauses grow by a quarter only. A server that counts by the minute or the hour takes messages again at the full minute or hour, and that has
// to be noticed soon: doubling would lose up to half of the time.
//
// Messages that wait for their moment are in a line (line.go), and one that was throttled goes to its end: where a server counts by
// the connection, the probe goes out over another connection.
//
// The weights let a few unlucky messages not undo what many have shown: when the server throttles again right after the probe, the
// connection of that message may have had less left than the others. The weight of the ceiling is halved each time, so that a limit that was
// lowered is found. A short measurement says little either: a run that begins at the end of a server's window has a full window's messages
// taken in a moment, and then again, and would otherwise come down from there by halves, window after window.
//
// Do not try to learn the length of such windows: servers count in several at once.
type adaptive struct {
	ceiling float64       // messages a second; +Inf: no limit was found yet
	span    time.Duration // from 0.9 × ceiling to ceiling
	since   time.Time     // the recovery began
	next    time.Time     // the next message is not offered before
	last    time.Time     // the last message was offered

	start   float64       // the ceiling before the server throttled
	pause   time.Duration // until the probe; 0: not throttled
	first   time.Time     // it began to
	refused time.Time     // it did so last
	until   time.Time     // nothing is offered before
	probing time.Time     // when the probe was offered; zero: it was not

	shown time.Duration // for how long the ceiling held; halved each time that it did not

	from     time.Time // the measurement began
	accepted int       // since then
}

const (
	decrease = 0.1 // of the rate is given up

	probeMin  = 100 * time.Millisecond
	probeMost = 4 * time.Hour
	// quotaFrom is how long a server throttles when it is not a rate that was too high, but the quota of a day that was used up.
	quotaFrom = 2 * time.Hour
	// lateMost is how late a timer may be for it to be made up for.
	lateMost = 2 * time.Millisecond

	// replyMost is how long the reply to a probe is awaited until another one is made: the reply may be late for a reason of this message alone.
	replyMost = 10 * time.Second
	replyPoll = 10 * time.Millisecond

	spanMin      = time.Second
	spanMost     = 10 * time.Second
	spanMessages = 50
)

// newAdaptive starts at the rate that was found before; 0: none was.
func newAdaptive(rate float64) *adaptive {
	a := &adaptive{ceiling: math.Inf(1)}
	if rate > 0 {
		a.ceiling, a.span = rate, spanAt(rate)
	}
	return a
}

// spanAt is the longest time that a recovery takes.
func spanAt(rate float64) time.Duration {
	return max(spanMost, seconds(spanMessages/rate))
}

// rate is the messages a second at a time.
func (a *adaptive) rate(now time.Time) float64 {
	if math.IsInf(a.ceiling, 1) {
		return a.ceiling
	}
	left := 1 - now.Sub(a.since).Seconds()/a.span.Seconds()
	return a.ceiling * (1 - decrease*left*left*left)
}

// found is the rate to begin with another time; 0: no limit was found.
func (a *adaptive) found() float64 {
	if math.IsInf(a.ceiling, 1) {
		return 0
	}
	return a.ceiling
}

// offer takes one message's worth, which may be sent after the wait, unless that is longer than most: then it takes nothing. While
// the server throttles it takes nothing before the pause is over.
func (a *adaptive) offer(now time.Time, most time.Duration) (wait time.Duration, ok bool) {
	if a.pause > 0 {
		wait = a.probe(now)
		return wait, wait == 0
	}
	if a.from.IsZero() {
		a.from, a.since = now, now
	}
	if math.IsInf(a.ceiling, 1) {
		a.last = now
		return 0, true
	}
	if lull := now.Sub(a.last) - seconds(1.5/a.rate(a.last)) - 20*time.Millisecond; lull > 0 && !a.last.IsZero() {
		// There was nothing to send, or something else was in the way, so nothing was learned meanwhile.
		a.since, a.from = a.since.Add(lull), a.from.Add(lull)
	}
	gap := seconds(1 / a.rate(now))
	if wait = max(a.next.Sub(now), 0); wait > most {
		return wait, false
	}
	// A late timer is made up for: at once where messages follow each other as closely as timers go off, and else bit by bit,
	// as some servers want a distance between two messages.
	a.next, a.last = later(a.next, now.Add(-lateMost)).Add(gap), now.Add(wait)
	if gap > 2*lateMost {
		a.next = later(a.next, now.Add(gap/2))
	}
	return wait, true
}

// after is how long it takes until a message may be offered that has so many others before it, as things are.
func (a *adaptive) after(now time.Time, ahead int) time.Duration {
	if math.IsInf(a.ceiling, 1) {
		return max(a.until.Sub(now), 0)
	}
	return max(later(a.next, a.until).Sub(now), 0) + seconds(float64(ahead)/(a.ceiling*(1-decrease)))
}

// probe is offer while the server throttles.
func (a *adaptive) probe(now time.Time) (wait time.Duration) {
	if wait = a.until.Sub(now); wait > 0 {
		return wait
	}
	if !a.probing.IsZero() {
		if wait = replyMost - now.Sub(a.probing); wait > 0 {
			return min(wait, replyPoll)
		}
	}
	a.probing, a.last = now, now
	return 0
}

// accept notes that a message was let through which was offered then.
func (a *adaptive) accept(offered, now time.Time) {
	a.accepted++
	if a.pause == 0 || a.probing.IsZero() || offered.Before(a.probing) {
		return
	}
	if a.probing.Sub(a.first) < quotaFrom {
		measured, took := a.measure()
		brief := took <= max(a.shown, spanMin)
		if math.IsInf(a.ceiling, 1) {
			a.ceiling = measured
		}
		if took > 0 {
			measured = (measured*took.Seconds() + a.ceiling*a.shown.Seconds()) / (took + a.shown).Seconds()
			a.shown /= 2
		} else {
			a.shown = a.first.Sub(a.from)
		}
		if brief {
			measured = max(measured, a.ceiling/2)
		}
		a.ceiling = min(a.ceiling, measured)
		a.span = max(min(max(2*a.span, spanMin), spanAt(a.ceiling)), took/2)
	}
	a.pause, a.probing = 0, time.Time{}
	a.since, a.from, a.accepted = now, now, 0
	a.next = now.Add(seconds(1 / a.rate(now)))
}

// measure is how many messages a second the server took before the probe that was accepted, and how long that was observed.
//
// Where it throttled for a tenth of the time before, or longer, it may count by the minute, and take a minute's worth in the first moment:
// the rate at which that was offered says nothing. What it took is divided by the time from the beginning until it took messages
// again, which was at some moment between the last refusal and the probe. Where it throttled for less, the rate had time to grow since
// the beginning, and the last part counts, ten times as long as it refused.
func (a *adaptive) measure() (rate float64, took time.Duration) {
	before, refused, closed := a.first.Sub(a.from), a.refused.Sub(a.first), a.probing.Sub(a.first)
	switch {
	case before < 10*closed || math.IsInf(a.ceiling, 1):
		least, most := max(before+refused, time.Millisecond).Seconds(), max(before+closed, time.Millisecond).Seconds()
		took = seconds(math.Sqrt(least * most))
		return float64(a.accepted) / took.Seconds(), took
	case refused == 0:
		return a.ceiling, 0
	}
	part := 10 * refused
	return a.offers(a.first.Add(-part), a.first) / (part + refused).Seconds(), 0
}

// offers is how many messages were offered in a part of the recovery before the server throttled.
func (a *adaptive) offers(from, to time.Time) float64 {
	sum := func(t time.Time) float64 {
		x := t.Sub(a.since).Seconds() / a.span.Seconds()
		left := 1 - x
		return a.start * a.span.Seconds() * (x + decrease/4*left*left*left*left)
	}
	return sum(to) - sum(from)
}

// other notes that the reply to a message which was offered then says nothing about the speed: the probe is made anew.
func (a *adaptive) other(offered time.Time) {
	if a.pause > 0 && !a.probing.IsZero() && !offered.Before(a.probing) {
		a.probing = time.Time{}
	}
}

// throttle notes that the server said to slow down at a message that was offered then. It returns how long nothing is
// offered, and whether that is news.
func (a *adaptive) throttle(offered, now time.Time) (pause time.Duration, begun bool) {
	switch {
	case a.pause == 0 && offered.Before(a.since):
		// It was under way when the rate was lowered for another message.
		return 0, false
	case a.pause == 0:
		a.first, a.start, a.ceiling = now, a.ceiling, a.rate(now)
		a.pause = probeMin
		if !math.IsInf(a.ceiling, 1) {
			a.pause = max(a.pause, seconds(1/(a.ceiling*(1-decrease))))
		}
		a.pause = min(a.pause, probeMost)
	case a.probing.IsZero() || offered.Before(a.probing):
		return a.pause, false
	default:
		a.pause = min(a.pause*5/4, probeMost)
	}
	a.refused, a.until, a.probing = now, now.Add(a.pause), time.Time{}
	return a.pause, true
}

func seconds(s float64) time.Duration {
	return time.Duration(min(s*float64(time.Second), math.MaxInt64/4))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
