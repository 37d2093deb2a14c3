package sender

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailblast/campaign/mail"
	"mailblast/sender/pace"
	"mailblast/sender/reply"
	"mailblast/store"
)

// domainQueue spreads the recipients over domains: by is how many there are. The first rows are of others, of which there are firsts.
type domainQueue struct {
	*queue
	by     int
	first  int64
	firsts int64
}

func (q domainQueue) Claim(ctx context.Context, w store.Want) ([]store.Job, error) {
	jobs, err := q.queue.Claim(ctx, w)
	for i := range jobs {
		of, before := int64(q.by), ""
		if jobs[i].ID <= q.first {
			of, before = q.firsts, "first-"
		}
		jobs[i].Domain = before + string(rune('a'+jobs[i].ID%of)) + ".example"
	}
	return jobs, err
}

// atFirst is how many jobs of a domain the workers may have of which nothing is known.
const atFirst = 2

// begin begins a run. What it returns ends it, with whatever hangs, after which no row is held.
func begin(t *testing.T, o setup, q domainQueue, s *server) (end func()) {
	work, cut := context.WithCancel(context.Background())
	claim, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- o.run(work, claim, q, s) }()
	return func() {
		t.Helper()
		stop()
		cut()
		<-done
		if rows := q.rows(t, store.Claimed, store.Sending); len(rows) > 0 {
			t.Errorf("%d rows are still held", len(rows))
		}
	}
}

// One domain hangs, and all others are sent to as if it were not there.
func TestOneDomainHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const recipients = 1000
		q := domainQueue{newQueue(t, recipients, "process"), 10, 0, 0}
		scripts := map[string][]string{}
		for n := range recipients {
			if (n+1)%10 == 0 { // rows are numbered from 1
				scripts[address(n)] = []string{"hang rcpt"}
			}
		}
		s := newServer(t, nil, scripts)
		o := options(10)
		o.Batch, o.Stats = 100, &Stats{}
		end := begin(t, o, q, s)
		time.Sleep(5 * time.Second)
		// What was behind a message that hangs on the same connection waits with it.
		if sent := o.Stats.Sent.Load(); sent < 900-2*atFirst {
			t.Errorf("%d of 900 were sent", sent)
		}
		hanging := 0
		for a, n := range s.tries {
			if scripts[a] != nil {
				hanging += n
			}
		}
		if hanging > atFirst {
			t.Errorf("%d messages hang", hanging)
		}
		end()
	})
}

// A list that begins with very many rows of a domain that hangs does not hold up those behind them, and no more rows than are said
// to be are claimed.
func TestSortedByDomain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const recipients, hanging = 2500, 1500
		q := domainQueue{newQueue(t, recipients, "process"), 10, hanging, 1}
		scripts := map[string][]string{}
		for n := range hanging {
			scripts[address(n)] = []string{"hang rcpt"}
		}
		s := newServer(t, nil, scripts)
		o := options(10)
		o.Batch, o.Stats = 100, &Stats{}
		end := begin(t, o, q, s)
		for range 5 {
			time.Sleep(time.Second)
			if n := len(q.rows(t, store.Claimed, store.Sending)); n > 3*o.Batch+3*o.Connections {
				t.Errorf("%d rows are claimed", n)
			}
		}
		if sent := o.Stats.Sent.Load(); sent < recipients-hanging-2*atFirst {
			t.Errorf("%d of %d were sent", sent, recipients-hanging)
		}
		end()
	})
}

// A countingQueue counts how often it is looked for what is due.
type countingQueue struct {
	Queue
	looks atomic.Int64
}

func (q *countingQueue) Pending(ctx context.Context) (store.Counts, time.Time, error) {
	q.looks.Add(1)
	return q.Queue.Pending(ctx)
}

// That a domain with a rate hangs keeps nobody busy: that it may have one more by its rate does not mean that there is room for it.
func TestHangsWithinItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rows := newQueue(t, 50, "process")
		q := &countingQueue{Queue: domainQueue{rows, 1, 0, 0}}
		s := slowServer{newServer(t, nil, nil), func(string) time.Duration { return time.Hour }, false}
		work, cut := context.WithCancel(context.Background())
		defer cut()
		done := make(chan error)
		o := options(10)
		o.DomainLimits = func(string) pace.Reserver { return limited(rows, store.Rate{N: 1, Per: time.Second}) }
		go func() { done <- o.run(work, work, q, s) }()
		time.Sleep(30 * time.Second)
		before := q.looks.Load()
		time.Sleep(10 * time.Second)
		if n := q.looks.Load() - before; n > 100 {
			t.Errorf("it was looked for what is due %d times in 10s", n)
		}
		cut()
		<-done
	})
}

// A domain's rate holds for it, and holds up nobody else.
func TestDomainRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := domainQueue{newQueue(t, 200, "process"), 2, 0, 0}
		s := newServer(t, nil, nil)
		o := options(4)
		at := map[string][]time.Time{}
		o.Batch, o.PerDomain = 10, 3
		o.DomainLimits = func(domain string) pace.Reserver {
			if domain == "a.example" {
				return spreadOut(store.Rate{N: 5, Per: time.Second})
			}
			return nil
		}
		o.Compose = func() Compose {
			make := compose()
			return func(j store.Job) (mail.Message, error) {
				s.mu.Lock()
				at[j.Domain] = append(at[j.Domain], time.Now())
				s.mu.Unlock()
				return make(j)
			}
		}
		start := time.Now()
		if err := run(q, s, o); err != nil {
			t.Fatal(err)
		}
		within(t, at["a.example"], store.Rate{N: 5, Per: time.Second})
		if took := at["b.example"][99].Sub(start); took > 3*time.Second { // of which one to find the other slow
			t.Errorf("the other domain took %v", took)
		}
		if took := time.Since(start); took > 24*time.Second {
			t.Errorf("it took %v", took)
		}
		s.verify(q.queue, 200, nil)
	})
}

// A reply about one recipient slows nobody down.
func TestGreylisting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 300, "process")
		scripts := map[string][]string{}
		for n := range 300 {
			scripts[address(n)] = []string{"rcpt 450 4.2.0 greylisted, come back", "dot 250 ok"}
		}
		s := newServer(t, nil, scripts)
		o := options(4)
		o.Wait, o.BackoffMin = time.Hour, time.Minute
		start := time.Now()
		if err := run(q, s, o); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 2*time.Minute {
			t.Errorf("it took %v", took)
		}
		s.verify(q, 300, nil)
	})
}

// A slowServer takes its time for some recipients.
type slowServer struct {
	*server
	takes func(to string) time.Duration
	large bool // that is how long it takes the content in, where it does chunking
}

type slowSession struct {
	Session
	slowServer
	to   []string // of the messages that were offered and not answered,
	sent int      // and how many of them were sent
}

func (s slowServer) Dial(ctx context.Context) (Session, error) {
	v, err := s.server.Dial(ctx)
	return &slowSession{Session: v, slowServer: s}, err
}

func (s *slowSession) Offer(m *mail.Message) {
	s.to = append(s.to, m.To)
	s.Session.Offer(m)
}

func (s *slowSession) Send() error {
	if s.large {
		time.Sleep(s.takes(s.to[s.sent]))
	}
	s.sent++
	return s.Session.Send()
}

func (s *slowSession) Answer() (reply.Answer, error) {
	if !s.large {
		time.Sleep(s.takes(s.to[0]))
	}
	s.to, s.sent = s.to[1:], s.sent-1
	return s.Session.Answer()
}

// The list begins with a thousand rows, ten times what the feeder claims at a time, of a domain or a few, which hang or take their time for
// each message: the others go by, with half of the connections at the least. On one processor the first workers to run take what there is:
// all that one domain may have may be behind messages to another that hangs.
func TestSlowDomainFirst(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for name, c := range map[string]struct {
		takes               time.Duration
		domains             int64
		pipeline, perDomain int
		large               bool
	}{
		"slow": {2 * time.Second, 1, 1, 0, false}, "two slow": {2 * time.Second, 2, 1, 0, false}, "four slow": {2 * time.Second, 4, 1, 0, false},
		"hangs": {time.Hour, 1, 1, 0, false}, "two hang": {time.Hour, 2, 1, 0, false}, "two hang, one at a time": {time.Hour, 2, 1, 1, false},
		"two hang, chunking": {time.Hour, 2, 8, 0, false}, "two hang in the content": {time.Hour, 2, 8, 0, true},
	} {
		processors := []int{1, 2}
		if c.takes < time.Minute {
			processors = processors[1:]
		}
		for _, processors := range processors {
			t.Run(fmt.Sprint(name, ", processors ", processors), func(t *testing.T) {
				runtime.GOMAXPROCS(processors)
				synctest.Test(t, func(t *testing.T) { slowDomainFirst(t, c.takes, c.domains, c.pipeline, c.perDomain, c.large) })
			})
		}
	}
}

func slowDomainFirst(t *testing.T, takes time.Duration, domains int64, pipeline, perDomain int, large bool) {
	const first, others, connections = 1000, 1000, 10
	const quick = 100 * time.Millisecond
	q := domainQueue{newQueue(t, first+others, "process"), 10, first, domains}
	isFirst := map[string]bool{}
	for n := range first {
		isFirst[address(n)] = true
	}
	var sent atomic.Int64
	fake := newServer(t, nil, nil)
	if pipeline > 1 {
		fake.depth = pipeline
	}
	s := slowServer{fake, func(to string) time.Duration {
		if isFirst[to] {
			return takes
		}
		sent.Add(1)
		return quick
	}, large}
	work, cut := context.WithCancel(context.Background())
	defer cut()
	done := make(chan error)
	o := options(connections)
	o.Batch, o.PerDomain = 100, perDomain
	go func() { done <- o.run(work, work, q, s) }()
	const within = 10*time.Second + others*quick/(connections/2)
	select {
	case err := <-done:
		t.Errorf("the run ended early: %v", err)
	case <-time.After(within):
		if n := sent.Load(); n != others {
			t.Errorf("%d of the %d others were sent in %v", n, others, within)
		}
		cut()
		<-done
	}
}

// What was postponed comes back in the same run, also where the run is not to wait, and is as if it had not been claimed.
func TestPostponedComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const recipients = 2500
		q := domainQueue{newQueue(t, recipients, "process"), 10, recipients - 10, 1}
		s := newServer(t, nil, nil)
		o := options(4)
		o.Batch, o.Wait, o.PerDomain = 100, 0, 1
		slow := slowServer{s, func(string) time.Duration { return time.Millisecond }, false}
		if err := run(q, slow, o); err != nil {
			t.Fatal(err)
		}
		s.verify(q.queue, recipients, nil)
		for a, row := range q.rows(t) {
			if row.Attempts != 1 {
				t.Errorf("%s: %d attempts", a, row.Attempts)
			}
		}
	})
}

// A clockSet queue is one whose due times are those of a clock that was set back by a day.
type clockSet struct {
	domainQueue
	back *atomic.Bool
}

func (q clockSet) Claim(ctx context.Context, w store.Want) ([]store.Job, error) {
	if q.back.Load() {
		return nil, nil
	}
	return q.domainQueue.Claim(ctx, w)
}

func (q clockSet) Pending(ctx context.Context) (store.Counts, time.Time, error) {
	counts, due, err := q.domainQueue.Pending(ctx)
	if q.back.Load() {
		due = time.Now().Add(24 * time.Hour)
	}
	return counts, due, err
}

// Who was postponed is not waited for beyond the time at which everyone should have come back, whatever the queue says.
func TestPostponedByAnotherClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := clockSet{domainQueue{newQueue(t, 200, "process"), 10, 190, 1}, &atomic.Bool{}}
		o := options(4)
		o.Batch, o.Wait, o.PerDomain = 4, 10*time.Second, 1
		slow := slowServer{newServer(t, nil, nil), func(string) time.Duration { return time.Second }, false}
		time.AfterFunc(time.Minute, func() { q.back.Store(true) })
		start := time.Now()
		if err := run(q, slow, o); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 10*time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}
