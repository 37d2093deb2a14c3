package store

import (
	"context"
	"database/sql/driver"
	"math"
	"slices"
	"time"
)

// A Rate is at most N messages in Per, whenever Per begins.
type Rate struct {
	N   int
	Per time.Duration
}

// Limits are what may be sent over a server, or over it to one domain. All of them hold.
type Limits struct {
	Rates  []Rate
	Quotas []Rate                          // of an hour or more
	Warmup func(day int) (r Rate, ok bool) // the quota of a day, counted from 0 at the first message that was taken; nil: none
}

// A Grant is leave to send N messages: the first from From on, and each of the others Every after the one before. Each lapses
// Slack after its time. With N = 0 nothing may be sent before From; Used is then the quota that is used up, or zero when it is a rate.
type Grant struct {
	N     int
	From  time.Time
	Every time.Duration
	Slack time.Duration
	Used  Rate
}

// Counted is when the messages of the grant are counted for quotas and rates, for Return.
func (g Grant) Counted() time.Time { return g.From.Add(time.Duration(g.N-1) * g.Every) }

const (
	// horizon is for how long messages are reserved at a time: so often the queue is written, and so much is lost when a process dies.
	horizon = 500 * time.Millisecond

	// grantPart is how much of a limit over an hour or longer is reserved at a time, for a process that dies not to use up more.
	grantPart = 100

	// pacesKept is how many grants for domains there are between two times that those are forgotten of which nothing is used up.
	pacesKept = 1000

	// warmupDay is a day of a warm-up.
	warmupDay = 24 * time.Hour
)

// Reserve takes leave to send up to want messages over a server, or to one domain of recipients over it ("": to all), in the next half second.
// Everybody who sends over the server with this queue gets a share of the same limits. What is not used is lost, or given back by Return.
//
// Rates are held by the generic cell rate algorithm (ITU-T I.371), which spreads them. Where more than one message may come at once
// after a lull, what may come at once is taken off rates over less than a minute, so that no time of a rate's length has more than it
// says; those over a minute or longer, as they would lose much by that, are counted besides (see usage.go), as quotas are.
func (s *Store) Reserve(ctx context.Context, server, domain string, l Limits, want int, now time.Time) (g Grant, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	durability := "strict"
	if domain != "" {
		durability = "process" // there are many of them, and after a power cut their rates are those of a while ago
	}
	err = s.writeAs(ctx, durability, func(ctx context.Context) error {
		g = Grant{N: want, From: now, Slack: time.Hour}
		if err := s.lower(ctx, server, domain, l, now, &g); err != nil || g.N == 0 {
			return err
		}
		paces := make([]pace, len(l.Rates))
		for i, r := range l.Rates {
			used, err := s.paceUsed(ctx, server, domain, r.Per)
			if err != nil {
				return err
			}
			paces[i] = newPace(r, used, now)
			paces[i].bound(&g, now)
		}
		if g.From.Sub(now) > horizon {
			g.N = 0
		}
		if g.N == 0 {
			return nil
		}
		for i, p := range paces {
			err := s.exec(ctx, "INSERT INTO pace (server, domain, per, used) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET used = excluded.used",
				server, domain, l.Rates[i].Per.Milliseconds(), p.after(g).Add(time.Microsecond-1).UnixMicro())
			if err != nil {
				return err
			}
		}
		if err := s.countUsage(ctx, server, domain, l, g, now); err != nil || domain == "" {
			return err
		}
		return s.forgetPaces(ctx, now)
	})
	return g, explain(err)
}

// Unsent are N messages of a grant, counted then, that no server has taken. Those of them that were offered to one are not taken off the rate's
// spread: else there would be no limit for messages that are refused.
type Unsent struct {
	N, Offered int
	Counted    time.Time
}

// Return gives back what was reserved and not sent.
func (s *Store) Return(ctx context.Context, server, domain string, l Limits, u Unsent) error {
	durability := "strict"
	if domain != "" {
		durability = "process"
		if !slices.ContainsFunc(l.Rates, Rate.counted) {
			return nil // what is not used of a rate that is only spread is lost
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return explain(s.writeAs(ctx, durability, func(ctx context.Context) error {
		for _, r := range l.Rates {
			if !r.counted() {
				continue
			}
			spread := time.Duration(u.N-u.Offered) * newPace(r, u.Counted, u.Counted).gap
			err := s.exec(ctx, "UPDATE pace SET used = used - ?1 WHERE server = ?2 AND domain = ?3 AND per = ?4", spread.Microseconds(), server, domain, r.Per.Milliseconds())
			if err != nil {
				return err
			}
		}
		return s.uncountUsage(ctx, server, domain, u.N, u.Counted)
	}))
}

// forgetPaces removes now and then the rates of domains of which nothing is used up any more, inside the caller's transaction: a list may
// have a million of them.
func (s *Store) forgetPaces(ctx context.Context, now time.Time) error {
	if s.paced++; s.paced < pacesKept {
		return nil
	}
	s.paced = 0
	if err := s.exec(ctx, "DELETE FROM pace WHERE domain <> '' AND used < ?1", now.UnixMicro()); err != nil {
		return err
	}
	return s.forgetUsage(ctx, now)
}

// lower lowers a grant to what is left of the quotas, and of the rates that are counted, inside the caller's transaction.
func (s *Store) lower(ctx context.Context, server, domain string, l Limits, now time.Time, g *Grant) error {
	quotas := l.Quotas
	next := time.Time{} // the warm-up's next day
	if l.Warmup != nil {
		first, err := s.firstMessage(ctx, server)
		if err != nil {
			return err
		}
		if first.IsZero() {
			first = now
		}
		day := max(0, int(now.Sub(first)/warmupDay))
		if q, ok := l.Warmup(day); ok {
			quotas = append(quotas[:len(quotas):len(quotas)], q)
			next = first.Add(time.Duration(day+1) * warmupDay)
		}
	}
	until := now
	for i, q := range append(quotas[:len(quotas):len(quotas)], l.Rates...) {
		quota := i < len(quotas)
		if !quota && !q.counted() {
			continue
		}
		left, again, err := s.left(ctx, server, domain, q, now)
		if err != nil {
			return err
		}
		if quota && i == len(l.Quotas) && next.Before(again) {
			again = next
		}
		if g.Slack = min(g.Slack, q.slack()); left > 0 {
			if g.N = min(g.N, left); q.Per >= time.Hour {
				g.N = min(g.N, max(1, q.N/grantPart))
			}
			continue
		}
		g.N = 0
		if quota && (g.Used.N == 0 || again.After(until)) {
			g.Used = q
		}
		if again.After(until) {
			until = again
		}
	}
	g.From = until
	return nil
}

// firstMessage is when the server took the first message; zero: it has taken none.
func (s *Store) firstMessage(ctx context.Context, server string) (first time.Time, err error) {
	err = s.each(ctx, 1, func(row []driver.Value) error {
		ms, ok := row[0].(int64)
		if !ok {
			return errDamaged{"a server's first message is not at a time"}
		}
		first = fromMillis(ms)
		return nil
	}, "SELECT first FROM server WHERE name = ?1", server)
	return first, err
}

func (s *Store) paceUsed(ctx context.Context, server, domain string, per time.Duration) (used time.Time, err error) {
	err = s.each(ctx, 1, func(row []driver.Value) error {
		us, ok := row[0].(int64)
		if !ok {
			return errDamaged{"a rate is not used up to a time"}
		}
		used = time.UnixMicro(us)
		return nil
	}, "SELECT used FROM pace WHERE server = ?1 AND domain = ?2 AND per = ?3", server, domain, per.Milliseconds())
	return used, err
}

// A pace is a rate, and up to which moment it is used up.
type pace struct {
	used  time.Time
	gap   time.Duration // one message's part of the time
	burst time.Duration // so far ahead it may be used up
	slack time.Duration
}

// atOnce is how many messages may come at once after a lull: a hundredth of a second's worth for rates by the second, as no timer
// is finer; for those by the minute a tenth, and for those by the hour and longer the half, so that a short list need not wait for the evening.
func (r Rate) atOnce() int {
	n := int(float64(r.N) / r.Per.Seconds() / 100)
	switch {
	case r.Per >= time.Hour:
		n = r.N / 2
	case r.Per >= time.Minute:
		n = r.N / 10
	}
	return max(1, min(n, r.N))
}

// counted says that a rate is counted like a quota, besides being spread.
func (r Rate) counted() bool { return r.Per >= time.Minute && r.atOnce() > 1 }

// slack is how much later than granted a message may leave.
func (r Rate) slack() time.Duration {
	return min(max(r.Per/100, 5*time.Millisecond), 30*time.Second)
}

// newPace spreads a rate, as evenly as the count lets it go on for ever where it is counted.
func newPace(r Rate, used, now time.Time) pace {
	p := pace{slack: r.slack()}
	n, window := r.N-r.atOnce()+1, r.Per+p.slack
	if r.counted() {
		n, window = r.N, r.window()
	}
	p.gap = time.Duration(math.Ceil(float64(window.Microseconds())/float64(n))) * time.Microsecond // as exactly as it is written down
	p.burst = time.Duration(r.atOnce()-1) * p.gap
	p.used = used
	if used.Before(now) || used.Sub(now) > 2*r.Per+p.gap {
		p.used = now // a lull; or the clock was far ahead when it was written down
	}
	return p
}

// bound lowers a grant to what the pace has room for.
func (p pace) bound(g *Grant, now time.Time) {
	g.Slack = min(g.Slack, p.slack)
	atOnce := int(now.Add(p.burst).Sub(p.used)/p.gap) + 1
	ahead := max(1, int(horizon/p.gap))
	if p.used.After(now.Add(p.burst)) || atOnce < ahead {
		if from := p.used.Add(-p.burst); from.After(g.From) {
			g.From = from
		}
		g.N, g.Every = min(g.N, ahead), max(g.Every, p.gap)
		return
	}
	g.N = min(g.N, atOnce)
}

// after is up to which moment the pace is used up by a grant.
func (p pace) after(g Grant) time.Time {
	last := g.From.Add(time.Duration(g.N-1)*g.Every + p.gap)
	if used := p.used.Add(time.Duration(g.N) * p.gap); used.After(last) {
		return used
	}
	return last
}
