package store

import (
	"context"
	"database/sql/driver"
	"math"
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

const (
	// horizon is for how long messages are reserved at a time: so often the queue is written, and so much is lost when a process dies.
	horizon = 500 * time.Millisecond

	// usageStep is how finely messages are counted for quotas. All of a step count until its end is as long ago as the quota says.
	usageStep = 5 * time.Minute
	usageKept = 32 * 24 * time.Hour

	// pacesKept is how many grants for domains there are between two times that those are forgotten of which nothing is used up.
	pacesKept = 1000

	// warmupDay is a day of a warm-up.
	warmupDay = 24 * time.Hour
)

// Reserve takes leave to send up to want messages over a server, or to one domain of recipients over it ("": to all), in the next half second.
// Everybody who sends over the server with this queue gets a share of the same limits. What is not used is lost for the rates;
// Return gives it back to the quotas.
//
// Rates are held by the generic cell rate algorithm (ITU-T I.371), with what may come at once taken off the rate, so that no time
// of a rate's length has more than it says. Quotas are counted over the time before now, and not by the days of a calendar: so
// they hold whatever the provider takes for a day, and for those who count the last 24 hours, as Amazon SES and Google do.
func (s *Store) Reserve(ctx context.Context, server, domain string, l Limits, want int, now time.Time) (g Grant, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	durability := "strict"
	if domain != "" {
		durability = "process" // there are many of them, and after a power cut their rates are those of a while ago
	}
	err = s.writeAs(ctx, durability, func(ctx context.Context) error {
		g = Grant{N: want, From: now, Slack: time.Hour}
		if err := s.quota(ctx, server, l, now, &g); err != nil || g.N == 0 {
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
				server, domain, l.Rates[i].Per.Milliseconds(), p.after(g).UnixMicro()+1)
			if err != nil {
				return err
			}
		}
		if domain != "" {
			return s.forgetPaces(ctx, now) // it is counted for all
		}
		return s.countUsage(ctx, server, g.N, now)
	})
	return g, explain(err)
}

// forgetPaces removes now and then the rates of domains of which nothing is used up any more, inside the caller's transaction: a list may
// have a million of them.
func (s *Store) forgetPaces(ctx context.Context, now time.Time) error {
	if s.paced++; s.paced < pacesKept {
		return nil
	}
	s.paced = 0
	return s.exec(ctx, "DELETE FROM pace WHERE domain <> '' AND used < ?1", now.UnixMicro())
}

// Return gives back what was reserved of the quotas and not sent.
func (s *Store) Return(ctx context.Context, server string, n int, now time.Time) error {
	if n == 0 {
		return nil
	}
	return explain(s.write(ctx, func(ctx context.Context) error {
		return s.exec(ctx, "UPDATE usage SET n = max(0, n - ?1) WHERE server = ?2 AND at = (SELECT max(at) FROM usage WHERE server = ?3)", n, server, server)
	}))
}

// quota lowers a grant to what is left of the quotas, inside the caller's transaction.
func (s *Store) quota(ctx context.Context, server string, l Limits, now time.Time, g *Grant) error {
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
	for i, q := range quotas {
		left, again, err := s.left(ctx, server, q, now)
		if err != nil {
			return err
		}
		if i == len(l.Quotas) && next.Before(again) {
			again = next
		}
		if left > 0 {
			g.N = min(g.N, left)
		} else if g.Used.N == 0 || again.After(g.From) {
			g.From, g.Used = again, q
		}
	}
	if g.Used.N > 0 {
		g.N = 0
	}
	return nil
}

// left is how much of a quota is left; when nothing is, when there is something again.
func (s *Store) left(ctx context.Context, server string, q Rate, now time.Time) (left int, again time.Time, err error) {
	var steps [][2]int64
	sum := int64(0)
	err = s.each(ctx, 2, func(row []driver.Value) error {
		at, ok1 := row[0].(int64)
		n, ok2 := row[1].(int64)
		if !ok1 || !ok2 {
			return errDamaged{"what was sent over a server is not counted in numbers"}
		}
		steps = append(steps, [2]int64{at, n})
		sum += n
		return nil
	}, "SELECT at, n FROM usage WHERE server = ?1 AND at > ?2 ORDER BY at", server, now.Add(-q.Per-usageStep).UnixMilli())
	if err != nil || sum < int64(q.N) {
		return int(int64(q.N) - sum), time.Time{}, err
	}
	for _, step := range steps {
		if sum -= step[1]; sum < int64(q.N) {
			return 0, time.UnixMilli(step[0]).Add(usageStep + q.Per), nil
		}
	}
	return 0, now.Add(q.Per), nil
}

// countUsage adds messages to the present step, inside the caller's transaction.
func (s *Store) countUsage(ctx context.Context, server string, n int, now time.Time) error {
	at := now.Truncate(usageStep).UnixMilli()
	// What was counted by a clock that was ahead counts from now on: it would be there for as long as the clock was ahead.
	var ahead int64
	err := s.each(ctx, 1, func(row []driver.Value) error { ahead, _ = row[0].(int64); return nil },
		"SELECT coalesce(sum(n), 0) FROM usage WHERE server = ?1 AND at > ?2", server, at)
	if err != nil {
		return err
	}
	if err := s.exec(ctx, "DELETE FROM usage WHERE server = ?1 AND (at > ?2 OR at < ?3)", server, at, now.Add(-usageKept).UnixMilli()); err != nil {
		return err
	}
	return s.exec(ctx, "INSERT INTO usage (server, at, n) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET n = n + excluded.n", server, at, int64(n)+ahead)
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

// newPace spreads a rate. What may come at once after a lull is a hundredth of a second's worth for rates by the second, as no timer
// is finer; for those by the minute a tenth, and for those by the hour and longer the half, so that a short list need not wait for the evening.
// That, and a hundredth for messages that leave a little late, is taken off the rate.
func newPace(r Rate, used, now time.Time) pace {
	burst := int(float64(r.N) / r.Per.Seconds() / 100)
	switch {
	case r.Per >= time.Hour:
		burst = r.N / 2
	case r.Per >= time.Minute:
		burst = r.N / 10
	}
	burst = max(1, min(burst, r.N))
	p := pace{slack: min(max(r.Per/100, 5*time.Millisecond), 30*time.Second)}
	p.gap = time.Duration(math.Ceil(float64(r.Per+p.slack) / float64(r.N-burst+1)))
	p.burst = time.Duration(burst-1) * p.gap
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

// A Server is what is known about one.
type Server struct {
	Name        string
	First       time.Time // it took the first message; zero: none yet
	Rate        float64   // messages a second that it was found to take; 0: no limit was found
	Connections int       // that it was found to let in; 0: no limit was found
	Found       time.Time
	WaitsFor    string    // why nothing can be sent until then, or could be at the end of the last run
	WaitsUntil  time.Time // zero: nobody knows
}

// Servers lists the servers of which something is known.
func (s *Store) Servers(ctx context.Context) ([]Server, error) { return s.servers(ctx, "") }

// Server is what is known about one; the zero value but for the name when that is nothing.
func (s *Store) Server(ctx context.Context, name string) (Server, error) {
	all, err := s.servers(ctx, name)
	if err != nil || len(all) == 0 {
		return Server{Name: name}, err
	}
	return all[0], nil
}

func (s *Store) servers(ctx context.Context, name string) ([]Server, error) {
	rows, err := s.readDB.QueryContext(ctx, "SELECT name, first, rate, connections, found, waits_for, waits_until FROM server WHERE name = ?1 OR ?1 = '' ORDER BY name", name)
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	var all []Server
	for rows.Next() {
		var v Server
		var first, found, until int64
		if err := rows.Scan(&v.Name, &first, &v.Rate, &v.Connections, &found, &v.WaitsFor, &until); err != nil {
			return nil, explain(err)
		}
		v.First, v.Found, v.WaitsUntil = fromMillis(first), fromMillis(found), fromMillis(until)
		all = append(all, v)
	}
	return all, explain(rows.Err())
}

// SaveServer writes down what was found out about a server; v.First, unless that is known already. It is not worth a sync: the next one, of
// something else, carries it along.
func (s *Store) SaveServer(ctx context.Context, v Server) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return explain(s.writeAs(ctx, "process", func(ctx context.Context) error {
		return s.exec(ctx, `INSERT INTO server (name, first, rate, connections, found, waits_for, waits_until) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
			ON CONFLICT DO UPDATE SET first = CASE first WHEN 0 THEN excluded.first ELSE first END, rate = excluded.rate, connections = excluded.connections,
			found = excluded.found, waits_for = excluded.waits_for, waits_until = excluded.waits_until`,
			v.Name, millis(v.First), v.Rate, v.Connections, millis(time.Now()), v.WaitsFor, millis(v.WaitsUntil))
	}))
}

// Left is how much of a quota of a server is left, and if nothing is, when there is something again.
func (s *Store) Left(ctx context.Context, server string, q Rate, now time.Time) (left int, again time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left, again, err = s.left(context.WithoutCancel(ctx), server, q, now)
	return left, again, explain(err)
}
