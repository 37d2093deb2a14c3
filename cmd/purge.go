package cmd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"mailblast/store"
)

type purgeFlags struct {
	olderThan string
	force     bool
}

func (a *app) purgeCommand() *cobra.Command {
	var f purgeFlags
	cmd := &cobra.Command{
		Use:   "purge NAME | --older-than D",
		Short: "Really remove a campaign's personal data",
		Long: `Remove everything that the queue knows about a campaign's recipients and its message: addresses, fields, replies with
their history, campaign file, templates and attachments. It is overwritten and the queue's file is rebuilt, so that nothing
of it can be read there; backups, and your own lists and reports, are yours to remove.

What stays is the campaign's name, its dates, and how many recipients were sent to, failed, are in doubt, suppressed or
invalid. It stays because nobody knows any more who got the message: "mailblast send" refuses that name from then on.
Another name sends to everybody in its list. A campaign of which nothing was ever sent is removed with its name.

The suppression list stays, with the addresses that this campaign's replies put on it: it is what keeps people from being
mailed again. Its entries are removed one by one, by "mailblast suppress remove".

With --older-than, and without a name, it is all finished campaigns that have not changed for so long. Recipients that are still
queued are removed only with --force; the campaign is then over for them.

Exit codes: 0 removed, or nothing to remove; 2 no such campaign, or recipients are still queued; 5 another process is
sending the campaign.`,
		Example: `  mailblast purge spring-sale
  mailblast purge --older-than 90d
  0 4 * * *  mailblast purge --older-than 90d --quiet    # in a crontab`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.campaignNames,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.purge(cmd, args, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.olderThan, "older-than", "", "only campaigns that are finished and have not changed for this `time`, such as 90d or 36h")
	flags.BoolVar(&f.force, "force", false, "also recipients that are still queued")
	return cmd
}

func (a *app) purge(cmd *cobra.Command, args []string, f purgeFlags) error {
	age, err := parseAge(f.olderThan)
	switch {
	case err != nil:
		return usage(fmt.Errorf("--older-than: %w", err))
	case len(args) == 0 && f.olderThan == "":
		return usage(errors.New("purge needs the name of a campaign, or --older-than"))
	case len(args) == 0 && f.force:
		return usage(errors.New("--force needs the name of a campaign"))
	}
	ctx := cmd.Context()
	s, err := a.openStore(ctx, false)
	if errors.Is(err, store.ErrNoQueue) && len(args) == 0 {
		a.say(cmd, "nothing to remove: there is no queue")
		return nil
	}
	if err != nil {
		return err
	}
	defer s.Close()
	var names []string
	if len(args) > 0 {
		names = args
	} else {
		all, err := s.Campaigns(ctx)
		if err != nil {
			return err
		}
		for _, c := range all {
			if c.Purged.IsZero() && c.Counts.Pending() == 0 && time.Since(c.Updated) > age {
				names = append(names, c.Name)
			}
		}
	}
	var worst error
	for _, name := range names {
		worst = worse(worst, classify(a.purgeOne(ctx, cmd, s, name, age, f.force)))
	}
	// This is done also when nothing was removed now: an earlier run may have ended before it.
	cleaned, err := s.Scrub(ctx)
	switch {
	case err != nil || len(names) > 0:
	case cleaned:
		a.say(cmd, "nothing to remove; the queue's file was cleaned of what an earlier run had removed")
	default:
		a.say(cmd, "nothing to remove: no campaign is finished and older than that")
	}
	return worse(worst, classify(err))
}

// purgeOne removes the data of one campaign, if that may be removed.
func (a *app) purgeOne(ctx context.Context, cmd *cobra.Command, s store.Queue, name string, age time.Duration, force bool) error {
	if _, err := s.Campaign(ctx, name); err != nil {
		return err
	}
	lease, err := s.Acquire(ctx, name)
	if err != nil {
		return err
	}
	defer lease.Release()
	if err := a.recover(ctx, cmd, lease, name); err != nil {
		return err
	}
	c, err := s.Campaign(ctx, name) // again: nobody else can change it any more
	if err != nil {
		return err
	}
	switch pending := c.Counts.Pending(); {
	case age > 0 && time.Since(c.Updated) <= age:
		a.say(cmd, "%s: changed %s, nothing was removed", name, humanize.Time(c.Updated))
		return nil
	case pending > 0 && !force:
		return usage(fmt.Errorf("campaign %q: %s recipients are still queued, nothing was removed: send to them by mailblast resume, or remove them as well by --force",
			name, humanize.Comma(pending)))
	}
	if err := lease.Purge(ctx); err != nil {
		return err
	}
	if !c.Purged.IsZero() {
		a.say(cmd, "%s: was removed already; the queue's file is cleaned again", name)
		return nil
	}
	a.say(cmd, "%s: %s recipients removed, with everything that was kept about them", name, humanize.Comma(c.Counts.Total()))
	return nil
}

// parseAge reads a duration, which may be in days: 90d. An empty text is 0.
func parseAge(s string) (time.Duration, error) {
	const day = 24 * time.Hour
	no := fmt.Errorf("%q is not a time such as 90d or 36h", s)
	if s == "" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n == 0 || n > uint64(math.MaxInt64/day) {
			return 0, no
		}
		return time.Duration(n) * day, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, no
	}
	return d, nil
}
