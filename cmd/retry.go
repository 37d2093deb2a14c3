package cmd

import (
	"errors"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"mailblast/store"
)

func (a *app) retryCommand() *cobra.Command {
	var failed, inDoubt bool
	cmd := &cobra.Command{
		Use:   "retry NAME --failed | --in-doubt",
		Short: "Put failed or doubtful recipients back into the queue",
		Long: `Put recipients back into the queue, for "mailblast resume" to send to. This is your decision: a recipient in doubt may
have got the message already and then gets it twice. Their last reply is kept in the queue.

Who failed because the address does not exist is on the suppression list and is not sent to even so. If the server was wrong,
remove the address from the list first.`,
		Example: `  mailblast report spring-sale --in-doubt     # who they are
  mailblast retry spring-sale --in-doubt
  mailblast suppress remove ada@example.com && mailblast retry spring-sale --failed
  mailblast resume spring-sale`,
		Args:              oneArg("the name of one campaign"),
		ValidArgsFunction: a.campaignNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if failed == inDoubt {
				return usage(errors.New("say which to put back: --failed or --in-doubt"))
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
	return cmd
}
