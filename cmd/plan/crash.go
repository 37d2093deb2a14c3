//go:build crash

package plan

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"mailblast/campaign/mail"
	"mailblast/sender"
	"mailblast/sender/reply"
	"mailblast/store"
)

// A crasher makes this process die at a step of the protocol, as if by kill -9, or break the protocol. The environment
// says how:
//
//	MAILBLAST_CRASH=STEP:N               die at the Nth passage of a step
//	MAILBLAST_CRASH_CONTROL=begin-late   record a begin only after the message was written
//
// The steps, in the order in which a run passes them: before-recover, after-recover, load (once for each row), dial,
// before- and after- claim, begin, send, result, finish, release. A transaction that holds begins, finishes and releases
// passes the steps of each.
//
// testdata/crash runs all of this.
type crasher struct {
	mu     sync.Mutex
	passed map[string]int
}

var crash crasher // of this process, which dies once

func (c *crasher) step(name string) {
	step, count, _ := strings.Cut(os.Getenv("MAILBLAST_CRASH"), ":")
	if name != step {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.passed == nil {
		c.passed = map[string]int{}
	}
	c.passed[name]++
	if strconv.Itoa(c.passed[name]) == count {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (c *crasher) rows(next func() (store.Recipient, error)) func() (store.Recipient, error) {
	return func() (store.Recipient, error) {
		c.step("load")
		return next()
	}
}

func (c *crasher) between(q sender.Queue, servers []sender.Route) (sender.Queue, []sender.Route) {
	q = crashQueue{q, c}
	var late *lateQueue
	if os.Getenv("MAILBLAST_CRASH_CONTROL") == "begin-late" {
		late = &lateQueue{Queue: q, asked: map[string]store.Job{}}
		q = late
	}
	for i := range servers {
		s := &servers[i]
		if s.Transport = (crashTransport{s.Transport, c}); late != nil {
			s.Transport = lateTransport{s.Transport, late}
		}
	}
	return q, servers
}

type crashQueue struct {
	sender.Queue
	*crasher
}

func (q crashQueue) Claim(ctx context.Context, w store.Want) ([]store.Job, error) {
	q.step("before-claim")
	defer q.step("after-claim")
	return q.Queue.Claim(ctx, w)
}

func (q crashQueue) Record(ctx context.Context, begin []store.Job, finish []store.Outcome) ([]store.Job, error) {
	var steps []string
	if len(begin) > 0 {
		steps = append(steps, "begin")
	}
	released := 0
	for i := range finish {
		if o := &finish[i]; o.State == store.Queued && o.Kind == store.Plain && o.Code == 0 {
			released++
		}
	}
	if released > 0 {
		steps = append(steps, "release")
	}
	if len(finish) > released {
		steps = append(steps, "finish")
	}
	for _, s := range steps {
		q.step("before-" + s)
	}
	kept, err := q.Queue.Record(ctx, begin, finish)
	for _, s := range steps {
		q.step("after-" + s)
	}
	return kept, err
}

type crashTransport struct {
	sender.Transport
	*crasher
}

func (t crashTransport) Dial(ctx context.Context) (sender.Session, error) {
	s, err := t.Transport.Dial(ctx)
	if err != nil {
		return nil, err
	}
	t.step("dial")
	return crashSession{s, t.crasher}, nil
}

type crashSession struct {
	sender.Session
	*crasher
}

func (s crashSession) Send() error {
	s.step("before-send")
	defer s.step("after-send")
	return s.Session.Send()
}

func (s crashSession) Answer() (reply.Answer, error) {
	s.step("before-result")
	defer s.step("after-result")
	return s.Session.Answer()
}

// A lateQueue says that begins are recorded, and records them when the message has been sent.
type lateQueue struct {
	sender.Queue
	mu    sync.Mutex
	asked map[string]store.Job // by address
}

func (q *lateQueue) Record(ctx context.Context, begin []store.Job, finish []store.Outcome) ([]store.Job, error) {
	q.mu.Lock()
	for _, j := range begin {
		q.asked[j.Address] = j
	}
	q.mu.Unlock()
	_, err := q.Queue.Record(ctx, nil, finish)
	return begin, err
}

func (q *lateQueue) sent(m *mail.Message) {
	q.mu.Lock()
	j := q.asked[m.To]
	q.mu.Unlock()
	q.Queue.Record(context.Background(), []store.Job{j}, nil)
}

type lateTransport struct {
	sender.Transport
	queue *lateQueue
}

func (t lateTransport) Dial(ctx context.Context) (sender.Session, error) {
	s, err := t.Transport.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return &lateSession{Session: s, queue: t.queue}, nil
}

type lateSession struct {
	sender.Session
	queue   *lateQueue
	offered []*mail.Message // and not sent
	ready   *mail.Message
}

func (s *lateSession) Offer(m *mail.Message) {
	s.offered = append(s.offered, m)
	s.Session.Offer(m)
}

func (s *lateSession) Ready() (bool, error) {
	s.ready, s.offered = s.offered[0], s.offered[1:]
	return s.Session.Ready()
}

func (s *lateSession) Send() error {
	err := s.Session.Send()
	s.queue.sent(s.ready)
	return err
}
