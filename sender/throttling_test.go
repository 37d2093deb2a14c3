package sender

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"mailblast/campaign/mail"
	"mailblast/sender/sink"
)

// A throttling server takes so many messages a second, by one way of counting, and does not say how many.
type throttling struct {
	name      string
	rates     []sink.Rate
	greylists bool // nobody is taken at the first try

	perSecond int           // MAIL commands that it lets through
	parts     []int         // messages of each run: one, or one for each time of a warm-up
	per       time.Duration // that time
}

// throttlingServers are one of each kind, which a list keeps busy for about so long.
func throttlingServers(perSecond int, long time.Duration) []throttling {
	by := func(kind sink.Kind, n int, per time.Duration) sink.Rate {
		return sink.Rate{Limit: rate.Limit(float64(n) / per.Seconds()), Burst: n, Kind: kind}
	}
	n := perSecond * int(long/time.Second)
	bucket := by(sink.Bucket, perSecond, time.Second)
	// A warm-up's first time leaves some seconds in which the sender sees that there is nothing more to be had for now.
	first, day := n/3, long/3+long/20+6*time.Second
	all := []throttling{
		{name: "fixed window", rates: []sink.Rate{by(sink.Fixed, perSecond, time.Second)}},
		{name: "sliding window", rates: []sink.Rate{by(sink.Sliding, perSecond, time.Second)}},
		{name: "token bucket", rates: []sink.Rate{bucket}},
		{name: "each connection", rates: []sink.Rate{by(sink.Connection, 2*perSecond/throttledConnections, 2*time.Second)}},
		{name: "greylisting", rates: []sink.Rate{bucket}, greylists: true, parts: []int{n / 2}},
		{name: "warm-up", rates: []sink.Rate{bucket, by(sink.Warmup, first, day)}, parts: []int{first, first * 3 / 2}, per: day},
	}
	for i := range all {
		all[i].perSecond = perSecond
		if all[i].parts == nil {
			all[i].parts = []int{n}
		}
	}
	return all
}

const (
	throttledConnections = 5
	throttledRoundTrip   = 4 * time.Millisecond
)

// The goal of the adaptive rate, for each kind of server: every recipient is delivered, none failed, at 85 % of what
// the server allows or more, and less than 10 % of the attempts are throttled after the first ten seconds.
func TestThrottlingServers(t *testing.T) {
	all := append(throttlingServers(10, 20*time.Second), throttlingServers(100, 15*time.Second)[:4]...)
	if os.Getenv("MAILBLAST_TEST_ALL") != "" {
		all = append(throttlingServers(20, 2*time.Minute), throttlingServers(100, 2*time.Minute)...)
	}
	for _, c := range all {
		t.Run(fmt.Sprintf("%s, %d a second", c.name, c.perSecond), func(t *testing.T) {
			synctest.Test(t, c.check)
		})
	}
}

func (c throttling) check(t *testing.T) {
	n := 0
	for _, part := range c.parts {
		n += part
	}
	q := newQueue(t, n, "process")
	s := c.start(t)
	o := options(throttledConnections)
	o.Batch = 100
	for part := range c.parts {
		o.Wait = time.Hour
		if part < len(c.parts)-1 { // the server does not take everything, and there is nothing more to be had for now
			o.Wait = 500 * time.Millisecond
		}
		err := run(q, s, o)
		if stopped := (*StopError)(nil); err != nil && !errors.As(err, &stopped) {
			t.Fatal(err)
		}
		if part < len(c.parts)-1 {
			time.Sleep(time.Until(s.taken[0].Add(c.per)))
		}
	}
	s.verify(q, n, nil)
	c.judge(t, s)
}

// judge holds the speed against the goal.
func (c throttling) judge(t *testing.T, s *throttlingServer) {
	t.Helper()
	var took time.Duration
	taken := s.taken
	for _, part := range c.parts {
		begun := taken[0]
		if c.greylists {
			begun = s.tried[0].at
		}
		took += taken[part-1].Sub(begun)
		taken = taken[part:]
	}
	late, refused := 0, 0
	for _, a := range s.tried {
		if a.at.Sub(s.tried[0].at) > 10*time.Second {
			late++
			if a.throttled {
				refused++
			}
		}
	}
	tries := len(s.taken)
	var asked time.Duration
	if c.greylists {
		tries, asked = 2*tries, greylisted
	}
	share := (float64(tries)/float64(c.perSecond) + asked.Seconds()) / took.Seconds()
	t.Logf("%.0f %% of what the server allows; %d of %d attempts were throttled after the first ten seconds", 100*share, refused, late)
	if share < 0.85 || 10*refused >= late {
		t.Error("that is not the goal")
	}
}

// A throttlingServer keeps when it was tried, and when it took a message.
type throttlingServer struct {
	*server
	throttling
	limiters []sink.Limiter
	tried    []attempt
	taken    []time.Time
	known    map[string]bool // by recipient
}

type attempt struct {
	at        time.Time
	throttled bool
}

// greylisted is for how long it asks who is tried for the first time.
const greylisted = 5 * time.Second

func (c throttling) start(t *testing.T) *throttlingServer {
	return &throttlingServer{server: newServer(t, nil, map[string][]string{}), throttling: c, limiters: c.limiters(false), known: map[string]bool{}}
}

// limiters are those of each connection, or those of all together.
func (c throttling) limiters(each bool) (limiters []sink.Limiter) {
	for _, r := range c.rates {
		if (r.Kind == sink.Connection) == each {
			limiters = append(limiters, sink.NewLimiter(r))
		}
	}
	return limiters
}

func (s *throttlingServer) Dial(ctx context.Context) (Session, error) {
	v, err := s.server.Dial(ctx)
	return &throttledSession{Session: v, server: s, limiters: append(s.throttling.limiters(true), s.limiters...)}, err
}

type throttledSession struct {
	Session
	server   *throttlingServer
	limiters []sink.Limiter
	to       string // of the message that was offered
}

func (s *throttledSession) Offer(m *mail.Message) {
	s.to = m.To
	s.Session.Offer(m)
}

func (s *throttledSession) Ready() (bool, error) {
	time.Sleep(throttledRoundTrip)
	s.server.decide(s.to, s.limiters)
	return s.Session.Ready()
}

func (s *throttledSession) Send() error {
	defer time.Sleep(throttledRoundTrip)
	return s.Session.Send()
}

// decide decides what becomes of the next message to a recipient.
func (s *throttlingServer) decide(to string, limiters []sink.Limiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, entry := attempt{at: time.Now()}, "dot 250 ok"
	for _, l := range limiters {
		a.throttled = a.throttled || !l.Allow()
	}
	switch {
	case a.throttled:
		entry = "mail 454 4.7.0 Throttling failure: faster than the account may send."
	case s.greylists && !s.known[to]:
		s.known[to] = true
		entry = fmt.Sprintf("rcpt 451 4.7.1 Greylisted, please try again in %d seconds", int(greylisted.Seconds()))
	default:
		s.taken = append(s.taken, a.at)
	}
	s.tried = append(s.tried, a)
	s.scripts[to] = []string{entry}
}
