package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mailblast/cmd/plan"
	"mailblast/sender"
)

// drainOptions are the flags that send and resume share.
type drainOptions struct {
	maxRuntime time.Duration
	limit      int
	wait       time.Duration
}

func (o *drainOptions) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.DurationVar(&o.maxRuntime, "max-runtime", 0, "stop after this `time`, such as 50m, and let what is under way end; 0: no bound")
	flags.IntVar(&o.limit, "limit", 0, "try at most `N` messages of a campaign; 0: no bound")
	flags.DurationVar(&o.wait, "wait", time.Minute, "stay for deferred recipients that are due within this `time`")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		switch {
		case o.maxRuntime < 0:
			return errors.New("--max-runtime cannot be negative")
		case o.limit < 0:
			return errors.New("--limit cannot be negative")
		case o.wait < 0:
			return errors.New("--wait cannot be negative")
		}
		return nil
	}
}

// bounded returns ctx, which then ends after --max-runtime at the latest.
func (o drainOptions) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if o.maxRuntime == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, o.maxRuntime, fmt.Errorf("--max-runtime %v is over", o.maxRuntime))
}

// drain sends what is due, shows how it goes, and says what is left. Its error carries the exit code.
func (a *app) drain(ctx context.Context, name string, run *plan.Run, o drainOptions) error {
	ctx, cancel := run.UntilExpiry(ctx)
	defer cancel()
	work, end := withGrace(a.work, ctx)
	defer end()
	goal := run.Pending
	if o.limit > 0 {
		goal = min(goal, int64(o.limit))
	}
	p := a.newProgress(name, goal, &run.Stats)
	start := time.Now()
	stopped := run.Drain(work, ctx, plan.DrainOptions{Limit: o.limit, Wait: o.wait, Log: p.log})
	p.stop()
	rest, err := run.Finish(work, ctx, stopped)
	if err != nil {
		return errors.Join(stopped, err)
	}
	a.summary(p, &run.Stats, rest, time.Since(start))
	var early *sender.StopError
	errors.As(stopped, &early)
	switch counts := rest.Counts; {
	case stopped != nil && early == nil:
		return stopped
	case rest.Unmarked != nil:
		return rest.Unmarked
	case counts.Pending() > 0 && stopped != nil && !(a.quiet && (early.Err == nil || ctx.Err() != nil)):
		return &exit{exitUnfinished, stopped} // with --quiet nothing is said of a limit or a signal: whoever set it knows
	case counts.Pending() > 0:
		return &exit{code: exitUnfinished}
	case counts.Failed+counts.InDoubt > 0:
		return &exit{code: exitFailures}
	}
	return nil
}
