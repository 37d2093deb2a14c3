package cmd

import (
	"errors"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"mailblast/store"
)

func (a *app) retryCommand() *cobra.Command {
	var failed, inDoubt, anyServer bool
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
		RunE: func(cmd *cobra.Command, args []string) error {
			if failed == inDoubt {
				return usage(errors.New("say which to put back: --failed or --in-doubt"))
			}
			if anyServer && failed {
				return usage(errors.New("--any-server is for those --in-doubt: the failed go over any server anyway, unless they were in doubt before"))
			}
			ctx := cmd.Context()
			s, err := a.openStore(ctx, false)
			if err != nil {
				return err
			}
			defer s.Close()
			if _, err := s.Campaign(ctx, args[0]); err != nil {
				return err
			}
			lease, err := s.Acquire(ctx, args[0])
			if err != nil {
				return err
			}
			defer lease.Release()
			if err := a.recover(ctx, cmd, lease, args[0]); err != nil {
				return err
			}
			from := store.Failed
			if inDoubt {
				from = store.InDoubt
			}
			listed, err := lease.Listed(ctx, from)
			if err != nil {
				return err
			}
			n, err := lease.Retry(ctx, from)
			if err != nil {
				return err
			}
			var anywhere int64
			if anyServer {
				if anywhere, err = lease.Unpin(ctx); err != nil {
					return err
				}
			}
			if n == 0 && anywhere > 0 {
				a.say(cmd, "%s: nobody is in doubt; %s put back before may go over any server now: mailblast resume %s", args[0], people(anywhere), quoteArg(args[0]))
				return nil
			}
			if n == 0 {
				a.say(cmd, "%s: nobody is %s; nothing was changed", args[0], strings.ReplaceAll(string(from), "_", " "))
				return nil
			}
			a.say(cmd, "%s: %s put back into the queue; send to them by: mailblast resume %s", args[0], humanize.Comma(n), quoteArg(args[0]))
			if listed > 0 {
				a.say(cmd, "  %s on the suppression list, and will be suppressed in place of being sent to. To send to them, remove them from the list before you resume: mailblast suppress remove ADDRESS…", humanize.Comma(listed))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&failed, "failed", false, "those who were refused or given up")
	cmd.Flags().BoolVar(&inDoubt, "in-doubt", false, "those of whom only the server knows whether they were sent to")
	cmd.Flags().BoolVar(&anyServer, "any-server", false, "not over the server that may have the message, but over whichever is free")
	return cmd
}
