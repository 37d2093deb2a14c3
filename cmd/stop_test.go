package cmd

import (
	"bytes"
	"context"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mailblast/campaign"
	"mailblast/cmd/plan"
)

// What a command of TestStop does.
const (
	hears  = iota // it ends when nothing new may be started
	deaf          // it never ends
	works         // it ends when what is under way must stop
	bounds        // as works, with --max-runtime of 10 s
	expire        // as works, of a campaign that expires after 10 s
)

// A command that is asked to stop has the grace for what is under way, whoever asks; a second signal cuts it, and what
// does not hear of the cut is left where it is.
func TestStop(t *testing.T) {
	t.Parallel()
	for _, c := range []stopCase{
		{"hears", hears, false, []int{1}, 1},
		{"deaf", deaf, false, []int{1}, 1 + 30 + 5},
		{"deaf, second signal", deaf, false, []int{1, 4}, 4 + 5},
		{"deaf, third signal", deaf, false, []int{1, 4, 5}, 5},
		{"deaf, nothing under way", deaf, true, []int{1}, 1 + 2},
		{"deaf, nothing under way, second signal", deaf, true, []int{1, 2}, 2},
		{"works", works, false, []int{1}, 1 + 30},
		{"second signal", works, false, []int{1, 4}, 4},
		{"max-runtime", bounds, false, nil, 10 + 30},
		{"max-runtime after a signal", bounds, false, []int{1}, 1 + 30},
		{"signal after max-runtime", bounds, false, []int{20}, 10 + 30},
		{"max-runtime, two signals", bounds, false, []int{20, 21}, 21},
		{"expiry", expire, false, nil, 10 + 30},
		{"expiry, signal", expire, false, []int{20}, 10 + 30},
		{"expiry, two signals", expire, false, []int{20, 21}, 21},
	} {
		for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
			t.Run(c.name+", "+s.String(), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { c.run(t, s) }) })
		}
	}
}

type stopCase struct {
	name    string
	command int
	idle    bool  // it has nothing under way
	signals []int // when they come, in seconds
	exits   int   // when it is over
}

func (c stopCase) run(t *testing.T, s os.Signal) {
	signals, start := make(chan os.Signal, 3), time.Now()
	for _, at := range c.signals {
		time.AfterFunc(time.Duration(at)*time.Second, func() { signals <- s })
	}
	a := &app{}
	a.graceful.Store(!c.idle)
	left := make(chan struct{})
	defer close(left)
	var said bytes.Buffer
	code := a.supervise(signals, &said, func(ctx context.Context) error {
		switch c.command {
		case hears:
			<-ctx.Done()
			return early(ctx, ctx.Err())
		case deaf:
			<-left
			return nil
		}
		return c.work(t, a, ctx)
	})
	if exited := time.Since(start); code != exitUnfinished || exited != time.Duration(c.exits)*time.Second {
		t.Errorf("exit code %d after %v, want %d after %d s", code, exited, exitUnfinished, c.exits)
	}
	why := "--max-runtime 10s is over"
	switch {
	case len(c.signals) > 0 && c.signals[0] < 10:
		why = "interrupted (" + s.String() + ")"
	case c.command == expire:
		why = plan.ErrExpired.Error()
	}
	if want := "mailblast: " + why + "\n"; said.String() != want {
		t.Errorf("it said %q, want %q", &said, want)
	}
}

// work is what a run does, bounded as those are: it ends with what is under way.
func (c stopCase) work(t *testing.T, a *app, ctx context.Context) error {
	cancel := context.CancelFunc(func() {})
	switch c.command {
	case bounds:
		ctx, cancel = drainOptions{maxRuntime: 10 * time.Second}.bounded(ctx)
	case expire:
		file := &campaign.File{Delivery: campaign.Delivery{Expires: campaign.Expiry{After: 10 * time.Second}}}
		ctx, cancel = (&plan.Run{Plan: &plan.Plan{File: file}, Created: time.Now()}).UntilExpiry(ctx)
	}
	defer cancel()
	work, end := withGrace(a.work, ctx)
	defer end()
	<-work.Done()
	if why := context.Cause(ctx); len(c.signals) < 2 && context.Cause(work) != why {
		t.Errorf("the work ended by %v, want %v", context.Cause(work), why)
	}
	return early(ctx, ctx.Err())
}
