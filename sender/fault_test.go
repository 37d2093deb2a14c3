package sender

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailblast/store"
)

// A faulty queue is a real one of which some calls fail.
type faulty struct {
	*queue
	claims, records int
	claim           func(n int) error                                          // by the number of the call, from 1
	record          func(n int, begin []store.Job) (keep []store.Job, _ error) // what of begin reaches the queue
	pending         error
}

func (f *faulty) Claim(ctx context.Context, w store.Want) ([]store.Job, error) {
	if f.claims++; f.claim != nil {
		if err := f.claim(f.claims); err != nil {
			return nil, err
		}
	}
	return f.queue.Claim(ctx, w)
}

func (f *faulty) Record(ctx context.Context, begin []store.Job, finish []store.Outcome) ([]store.Job, error) {
	if f.records++; f.record != nil {
		var err error
		if begin, err = f.record(f.records, begin); err != nil {
			return nil, err
		}
	}
	return f.queue.Record(ctx, begin, finish)
}

func (f *faulty) Pending(ctx context.Context) (store.Counts, time.Time, error) {
	if f.pending != nil {
		return store.Counts{}, time.Time{}, f.pending
	}
	return f.queue.Pending(ctx)
}

var errDisk = errors.New("disk full")

// A queue that cannot be written for a moment loses nothing, and one that stays so ends the run: what is in the file
// then agrees with what the server has.
func TestQueueFaults(t *testing.T) {
	for _, c := range []struct {
		name    string
		queue   faulty
		fails   bool
		inDoubt int // at most
		queued  int // at most
	}{
		{name: "one record fails", queue: faulty{record: func(n int, b []store.Job) ([]store.Job, error) { return b, errOn(n == 3) }}},
		{name: "records fail for a quarter of a minute", queue: faulty{record: func(n int, b []store.Job) ([]store.Job, error) { return b, errOn(n >= 3 && n < 7) }}},
		{name: "no record ever", queue: faulty{record: func(_ int, b []store.Job) ([]store.Job, error) { return b, errDisk }}, fails: true, queued: 20},
		{name: "no record after the third", queue: faulty{record: func(n int, b []store.Job) ([]store.Job, error) { return b, errOn(n > 3) }}, fails: true, inDoubt: 4, queued: 20},
		{name: "no record after the fifth", queue: faulty{record: func(n int, b []store.Job) ([]store.Job, error) { return b, errOn(n > 5) }}, fails: true, inDoubt: 4, queued: 20},
		{name: "some begins are lost", queue: faulty{record: func(n int, b []store.Job) ([]store.Job, error) {
			if n%3 == 1 && n < 20 {
				return nil, nil
			}
			return b, nil
		}}},
		{name: "the first claim fails", queue: faulty{claim: func(n int) error { return errDisk }}, fails: true, queued: 20},
		{name: "the third claim fails", queue: faulty{claim: func(n int) error { return errOn(n == 3) }}, fails: true, queued: 20},
		{name: "what is pending cannot be read", queue: faulty{pending: errDisk}, fails: true, queued: 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := c
				c.queue.queue = newQueue(t, 20, "process")
				s := newServer(t, c.queue.queue, nil)
				var log bytes.Buffer
				o := options(2)
				o.Log = slog.New(slog.NewTextHandler(&log, nil))
				err := run(&c.queue, s, o)
				if c.fails != (err != nil) || err != nil && !errors.Is(err, errDisk) {
					t.Fatalf("error %v, want one: %v", err, c.fails)
				}
				var stopped *StopError
				if errors.As(err, &stopped) {
					t.Errorf("a fault of the queue looks like an ordinary stop: %v", err)
				}
				if _, _, err := c.queue.Recover(context.Background()); err != nil {
					t.Fatal(err)
				}
				if c.fails && s.dialled > 4 {
					t.Errorf("the run went on after the fault: %d dials", s.dialled)
				}
				want := map[string]store.State{}
				queued, inDoubt := c.queue.rows(t, store.Queued), c.queue.rows(t, store.InDoubt)
				if len(queued) > c.queued || len(inDoubt) > c.inDoubt {
					t.Errorf("%d queued, %d in doubt; want at most %d, %d", len(queued), len(inDoubt), c.queued, c.inDoubt)
				}
				for a := range queued {
					want[a] = store.Queued
				}
				for a := range inDoubt {
					want[a] = store.InDoubt
					if s.accepted[a] > 0 && !strings.Contains(log.String(), "recipient="+a+" state=sent") {
						t.Errorf("%s was sent, which neither the queue nor the log knows:\n%s", a, &log)
					}
				}
				s.verify(c.queue.queue, 20, want)
			})
		})
	}
}

func errOn(b bool) error {
	if b {
		return errDisk
	}
	return nil
}
