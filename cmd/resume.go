package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/spf13/cobra"

	"mailblast/cmd/plan"
	"mailblast/store"
)

func (a *app) resumeCommand() *cobra.Command {
	var o drainOptions
	cmd := &cobra.Command{
		Use:   "resume [NAME…]",
		Short: "Finish every unfinished campaign, or those named",
		Long: `Go on with what was interrupted or deferred. Everything comes from the queue, as it was when the campaign was sent; only
${VARIABLES} of the campaign file are read again from the environment. The files themselves are not needed.

Without names the campaigns with the higher priority in their campaign files come first, one after the other, and those of equal priority in
the order in which they were made; those named come as they are named. So what is left of a quota or of --max-runtime goes to the
highest. A campaign that is being sent by another process at the same time is not held back: the two share the limits of their server as
they come, whatever their priorities.

A recipient whose message may have left when a run died is in doubt, and is not sent to again: see "mailblast retry".

Exit codes: 0 done, or nothing to do; 3 done, but some recipients failed or are in doubt; 4 stopped early, recipients are
still queued; 5 another process is sending the campaign.`,
		Example: `  mailblast resume
  mailblast resume spring-sale --max-runtime 50m
  */10 * * * *  mailblast resume --quiet          # in a crontab`,
		ValidArgsFunction: a.campaignNames,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.resume(cmd, args, o) },
	}
	o.register(cmd)
	return cmd
}

func (a *app) resume(cmd *cobra.Command, names []string, o drainOptions) (err error) {
	ctx, cancel := o.bounded(cmd.Context())
	defer cancel()
	defer func() { err = early(ctx, err) }()
	s, err := a.openStore(ctx, false)
	if errors.Is(err, store.ErrNoQueue) && len(names) == 0 {
		a.say(cmd, "nothing to do: there is no queue yet")
		return nil
	}
	if err != nil {
		return err
	}
	defer s.Close()
	var todo []store.Campaign
	all, err := s.Campaigns(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		if len(names) == 0 && c.Counts.Pending() > 0 {
			todo = append(todo, c)
		}
	}
	slices.SortStableFunc(todo, func(a, b store.Campaign) int { return b.Priority - a.Priority })
	for _, name := range names {
		c, err := s.Campaign(ctx, name)
		if err != nil {
			return err
		}
		if c.Counts.Pending() == 0 {
			a.say(cmd, "%s: nothing to do", name)
			continue
		}
		todo = append(todo, c)
	}
	if len(todo) == 0 && len(names) == 0 {
		a.say(cmd, "nothing to do")
	}
	var worst error
	for _, c := range todo {
		if ctx.Err() != nil {
			worst = worse(worst, &exit{code: exitUnfinished})
			break
		}
		err := a.resumeOne(ctx, cmd, s, c, o)
		if errors.Is(err, store.ErrHeld) && a.quiet {
			err = &exit{code: exitHeld} // from cron this is so at every call during a long run
		}
		worst = worse(worst, classify(err))
	}
	return worst
}

// resumeOne drains one campaign by its snapshot.
func (a *app) resumeOne(ctx context.Context, cmd *cobra.Command, s store.Queue, c store.Campaign, o drainOptions) error {
	lease, err := s.Acquire(ctx, c.Name)
	if err != nil {
		return err
	}
	defer lease.Release()
	p, err := plan.FromQueue(ctx, s, c)
	if err != nil {
		return err
	}
	if err := p.Connect(); err != nil {
		return err
	}
	if err := a.recover(ctx, cmd, lease, c.Name); err != nil {
		return err
	}
	run, err := p.Run(ctx, s, lease)
	if err != nil {
		return err
	}
	return a.drain(ctx, c.Name, run, o)
}

// worse joins the errors of several campaigns; the exit code is that of the gravest one.
func worse(a, b error) error {
	gravity := func(err error) int {
		var e *exit
		if !errors.As(err, &e) {
			return -1
		}
		return map[int]int{exitDone: 0, exitFailures: 1, exitHeld: 2, exitUnfinished: 3, exitUsage: 4, exitError: 5}[e.code]
	}
	switch {
	case b == nil:
		return a
	case a == nil:
		return b
	}
	code := a
	if gravity(b) > gravity(a) {
		code = b
	}
	var e *exit
	errors.As(code, &e)
	var texts []error
	for _, err := range []error{a, b} {
		if err.Error() != "" {
			texts = append(texts, err)
		}
	}
	return &exit{e.code, errors.Join(texts...)}
}

// say tells a person something that is not data, on standard error.
func (a *app) say(cmd *cobra.Command, format string, args ...any) {
	switch text := fmt.Sprintf(format, args...); {
	case a.quiet:
	case a.logFormat == "json": // then every line is
		slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil)).Info(text)
	default:
		fmt.Fprintln(cmd.ErrOrStderr(), text)
	}
}
