package sqlite

import (
	"context"
	"database/sql/driver"
	"math"
	"slices"
	"time"

	"mailblast/store"
)

const (
	// horizon is how far ahead messages are reserved. The queue is written that often, and a process that dies loses
	// that much.
	horizon = 500 * time.Millisecond

	// grantPart divides a limit over an hour or longer: one part is reserved at a time, so that a process that dies
	// uses up no more.
	grantPart = 100

	// bucketsKept is after how many grants for domains the buckets that are full again are removed.
	bucketsKept = 1000

	warmupDay = 24 * time.Hour
)

// Reserve reserves up to want messages over a server, or to one domain of recipients over it ("": to all), for the next
// half second. All processes that send over the server with this queue share the same limits. What is not used is lost, or
// given back by Return.
//
// Rates are held by the generic cell rate algorithm (ITU-T I.371), which spreads them. Where more than one message may
// come at once after a lull, what may come at once is taken off rates over less than a minute, so that no time of a
// rate's length has more than it says; those over a minute or longer, as they would lose much by that, are counted
// besides (see usage.go), as quotas are.
func (s *Store) Reserve(ctx context.Context, server, domain string, l store.Allowance, want int, now time.Time) (g store.Grant, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	durability := "strict"
	if domain != "" {
		durability = "process" // there are many of them, and after a power cut their rates are those of a while ago
	}
	err = s.writeAs(ctx, durability, func(ctx context.Context) error {
		g = store.Grant{N: want, From: now, Slack: time.Hour}
		if err := s.lower(ctx, server, domain, l, now, &g); err != nil || g.N == 0 {
			return err
		}
		buckets := make([]bucket, len(l.Rates))
		for i, r := range l.Rates {
			used, err := s.bucketUsed(ctx, server, domain, r.Per)
			if err != nil {
				return err
			}
			buckets[i] = newBucket(r, used, now)
			buckets[i].bound(&g, now)
		}
		if g.From.Sub(now) > horizon {
			g.N = 0
		}
		if g.N == 0 {
			return nil
		}
		for i, b := range buckets {
			err := s.exec(ctx, "INSERT INTO pace (server, domain, per, used) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET used = excluded.used",
				server, domain, l.Rates[i].Per.Milliseconds(), b.after(g).Add(time.Microsecond-1).UnixMicro())
			if err != nil {
				return err
			}
		}
		if err := s.countUsage(ctx, server, domain, l, g, now); err != nil || domain == "" {
			return err
		}
		return s.forgetBuckets(ctx, now)
	})
	return g, explain(err)
}

// Return gives back what was reserved and not sent.
func (s *Store) Return(ctx context.Context, server, domain string, l store.Allowance, u store.Unsent) error {
	durability := "strict"
	if domain != "" {
		durability = "process"
		if !slices.ContainsFunc(l.Rates, counted) {
			return nil // what is not used of a rate that is only spread is lost
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return explain(s.writeAs(ctx, durability, func(ctx context.Context) error {
		for _, r := range l.Rates {
			if !counted(r) {
				continue
			}
			spread := time.Duration(u.N-u.Offered) * newBucket(r, u.Counted, u.Counted).gap
			err := s.exec(ctx, "UPDATE pace SET used = used - ?1 WHERE server = ?2 AND domain = ?3 AND per = ?4", spread.Microseconds(), server, domain, r.Per.Milliseconds())
			if err != nil {
				return err
			}
		}
		return s.uncountUsage(ctx, server, domain, u.N, u.Counted)
	}))
}

// forgetBuckets removes the buckets of domains that are full again, inside the caller's transaction and not every time: a
// list may have a million domains.
func (s *Store) forgetBuckets(ctx context.Context, now time.Time) error {
	if s.granted++; s.granted < bucketsKept {
		return nil
	}
	s.granted = 0
	if err := s.exec(ctx, "DELETE FROM pace WHERE domain <> '' AND used < ?1", now.UnixMicro()); err != nil {
		return err
	}
	return s.forgetUsage(ctx, now)
}

// lower lowers a grant to what is left of the quotas, and of the rates that are counted, inside the caller's transaction.
func (s *Store) lower(ctx context.Context, server, domain string, l store.Allowance, now time.Time, g *store.Grant) error {
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
		if !quota && !counted(q) {
			continue
		}
		left, again, err := s.quotaLeft(ctx, server, domain, q, now)
		if err != nil {
			return err
		}
		if quota && i == len(l.Quotas) && next.Before(again) {
			again = next
		}
		if g.Slack = min(g.Slack, slackOf(q)); left > 0 {
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

func (s *Store) bucketUsed(ctx context.Context, server, domain string, per time.Duration) (used time.Time, err error) {
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

// A bucket is a rate, and the moment up to which it is used up.
type bucket struct {
	used  time.Time
	gap   time.Duration // one message's part of the time
	burst time.Duration // so far ahead it may be used up
	slack time.Duration
}

// atOnce is how many messages may come at once after a lull: a hundredth of a second's worth for rates by the second,
// as no timer is finer; a tenth for rates by the minute; half for rates by the hour and longer, so that a short list need
// not wait for the evening.
func atOnce(r store.Rate) int {
	n := int(float64(r.N) / r.Per.Seconds() / 100)
	switch {
	case r.Per >= time.Hour:
		n = r.N / 2
	case r.Per >= time.Minute:
		n = r.N / 10
	}
	return max(1, min(n, r.N))
}

// counted reports whether a rate is counted like a quota, besides being spread.
func counted(r store.Rate) bool { return r.Per >= time.Minute && atOnce(r) > 1 }

// slackOf is how much later than granted a message may leave.
func slackOf(r store.Rate) time.Duration {
	return min(max(r.Per/100, 5*time.Millisecond), 30*time.Second)
}

// newBucket spreads a rate, as evenly as the count lets it go on for ever where it is counted.
func newBucket(r store.Rate, used, now time.Time) bucket {
	b := bucket{slack: slackOf(r)}
	n, window := r.N-atOnce(r)+1, r.Per+b.slack
	if counted(r) {
		n, window = r.N, windowOf(r)
	}
	b.gap = time.Duration(math.Ceil(float64(window.Microseconds())/float64(n))) * time.Microsecond // as exactly as it is written down
	b.burst = time.Duration(atOnce(r)-1) * b.gap
	b.used = used
	if used.Before(now) || used.Sub(now) > 2*r.Per+b.gap {
		b.used = now // a lull; or the clock was far ahead when it was written down
	}
	return b
}

// bound lowers a grant to what the bucket has room for.
func (b bucket) bound(g *store.Grant, now time.Time) {
	g.Slack = min(g.Slack, b.slack)
	atOnce := int(now.Add(b.burst).Sub(b.used)/b.gap) + 1
	ahead := max(1, int(horizon/b.gap))
	if b.used.After(now.Add(b.burst)) || atOnce < ahead {
		if from := b.used.Add(-b.burst); from.After(g.From) {
			g.From = from
		}
		g.N, g.Every = min(g.N, ahead), max(g.Every, b.gap)
		return
	}
	g.N = min(g.N, atOnce)
}

// after is the moment up to which the bucket is used up when a grant is given.
func (b bucket) after(g store.Grant) time.Time {
	last := g.From.Add(time.Duration(g.N-1)*g.Every + b.gap)
	if used := b.used.Add(time.Duration(g.N) * b.gap); used.After(last) {
		return used
	}
	return last
}
