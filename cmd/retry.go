package cmd

import (
	"errors"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"mailblast/store"
)

type retryFlags struct {
	failed, inDoubt, anyServer bool
}

// from returns the state of those who are put back.
func (f retryFlags) from() store.State {
	if f.inDoubt {
		return store.InDoubt
	}
	return store.Failed
}

func (a *app) retryCommand() *cobra.Command {
	var f retryFlags
	cmd := &cobra.Command{
		Use:   "retry NAME --failed | --in-doubt",
		Short: "Put failed or doubtful recipients back into the queue",
		Long: `Put recipients back into the queue, for "mailblast resume" to send to. This is your decision: a recipient in doubt may
have got the message already and then gets it twice. Their last reply is kept in the queue.

Who was in doubt goes over the server again that may have the message, and over no other one: that server may know the message by its
Message-ID, while another one would certainly make a second copy of what was taken. It is found by its name in the campaign file, or host and port. Where it
is not in the file any more, or cannot be used, the recipient stays in the queue; the run sends to all others, says so, and ends with exit code 4.
With --any-server whichever server is free takes them all, those too that were put back before.

Who failed because the address does not exist is on the suppression list, if the server took others in that run, and is not sent to even so. If the server was wrong,
remove the address from the list first.`,
		Example: `  mailblast report spring-sale --in-doubt     # who they are
  mailblast retry spring-sale --in-doubt
  mailblast retry spring-sale --in-doubt --any-server     # the server that may have their messages is gone for good
  mailblast suppress remove ada@example.com && mailblast retry spring-sale --failed
  mailblast resume spring-sale`,
		Args:              oneArg("the name of one campaign"),
		ValidArgsFunction: a.campaignNames,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.retry(cmd, args[0], f) },
	}
	cmd.Flags().BoolVar(&f.failed, "failed", false, "those who were refused or given up")
	cmd.Flags().BoolVar(&f.inDoubt, "in-doubt", false, "those of whom only the server knows whether they were sent to")
	cmd.Flags().BoolVar(&f.anyServer, "any-server", false, "not over the server that may have the message, but over whichever is free")
	return cmd
}

func (a *app) retry(cmd *cobra.Command, name string, f retryFlags) error {
	switch {
	case f.failed == f.inDoubt:
		return usage(errors.New("say which to put back: --failed or --in-doubt"))
	case f.anyServer && f.failed:
		return usage(errors.New("--any-server is for those --in-doubt: the failed go over any server anyway, unless they were in doubt before"))
	}
	ctx := cmd.Context()
	s, err := a.openStore(ctx, false)
	if err != nil {
		return err
	}
	defer s.Close()
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
	listed, err := lease.Listed(ctx, f.from())
	if err != nil {
		return err
	}
	n, err := lease.Retry(ctx, f.from())
	if err != nil {
		return err
	}
	var unpinned int64
	if f.anyServer {
		if unpinned, err = lease.Unpin(ctx); err != nil {
			return err
		}
	}
	switch {
	case n == 0 && unpinned > 0:
		a.say(cmd, "%s: nobody is in doubt; %s put back before may go over any server now: mailblast resume %s", name, people(unpinned), quoteArg(name))
		return nil
	case n == 0:
		a.say(cmd, "%s: nobody is %s; nothing was changed", name, strings.ReplaceAll(string(f.from()), "_", " "))
		return nil
	}
	a.say(cmd, "%s: %s put back into the queue; send to them by: mailblast resume %s", name, humanize.Comma(n), quoteArg(name))
	if listed > 0 {
		a.say(cmd, "  %s on the suppression list, and will be suppressed in place of being sent to. To send to them, remove them from the list before you resume: mailblast suppress remove ADDRESS…", humanize.Comma(listed))
	}
	return nil
}
