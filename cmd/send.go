package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"mailblast/campaign/text"
	"mailblast/cmd/plan"
	"mailblast/store"
)

type sendFlags struct {
	drainOptions
	name, recipients, encoding   string
	skipInvalid, accept, sandbox bool
	outside, duplicates          bool
}

func (a *app) sendCommand() *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use:   "send FILE",
		Short: "Load a campaign's recipients into the queue and send to all of them",
		Long: `Load the recipients of a campaign file into the queue, and send to everyone who has not been sent to yet.

A campaign's name and an address together are sent once: the same command again sends to nobody twice, and to rows that
are new in the list. Rows that are in the queue already stay as they were loaded; to begin anew with a mended list, before
anything was sent, remove them with "mailblast purge NAME --force". Everything that "mailblast resume" needs later is kept in the queue, but for secrets.

With order_by in the campaign file the largest number or the latest date in that column is sent to first ("order_by: score asc": the smallest),
equal ones in the order of the list, and last of all those with neither. Rows that are added later get their place among those that were not
tried yet; who was deferred is sent to again after them, when it is time. On several connections neighbours may overtake each other.

An address that stands in the list twice is sent to once, with its first row. --duplicates prints the others, as in
"list.csv:17: ada@example.com stands in line 3 already", and sends nothing.

Nobody on the suppression list is sent to; see "mailblast suppress". It is a part of the queue, so that a sandbox knows nothing of it.

Nothing is sent before the campaign file, the templates and the whole list were checked. Recipients that the server defers
are waited for as long as --wait says; "mailblast resume" sends to the others later.

Without limits in the campaign file the sender finds out how fast the server takes messages, and begins there the next time. When a quota is used
up, or the campaign's send_window is closed, the run ends with exit code 4 and says when it is worth while to go on; a longer
--wait stays for that.

Several servers stand in a list "servers" in place of "smtp". Each item has the keys of smtp, a name for the report and the log, a weight, and
limits of its own (rate, quota, warmup; the same for two that have one host and username), while per_domain holds over all servers together.
Whoever is free takes the next message; with weights each gets its part, for as long as it can. What one server cannot take, as it is down,
throttles, refuses the password or has used up its quota, goes over the others; one that was only down or limited is tried again later. The
run stops when none is left. Who is in doubt is not sent to over another server, also not when you put him back: see "mailblast retry".

Exit codes: 0 done; 2 a fault in the campaign file, a template or the list: nothing was sent; 3 done, but some recipients
failed or are in doubt; 4 stopped early, "mailblast resume" goes on; 5 another process is sending this campaign.`,
		Example: `  mailblast send campaign.yaml --sandbox          # the whole run, without one mail leaving
  mailblast send campaign.yaml
  mailblast send campaign.yaml --limit 10         # the first ten; the rest by resume
  mailblast send weekly.yaml --name weekly-$(date +%F) --recipients members.csv
  psql -c "COPY members TO STDOUT CSV HEADER" | mailblast send campaign.yaml --recipients -`,
		Args: oneArg("one campaign file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.duplicates {
				return a.listDuplicates(cmd, args[0], f)
			}
			return a.send(cmd, args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.skipInvalid, "skip-invalid", false, "record rows that cannot be mailed as invalid, and go on")
	flags.BoolVar(&f.accept, "accept-changes", false, "go on with a campaign file or template that was changed after the first message left")
	flags.BoolVar(&f.outside, "allow-outside", false, "let the campaign file name templates and attachments outside of its folder")
	flags.StringVar(&f.name, "name", "", "`name` of the campaign, in place of the file's")
	flags.StringVar(&f.recipients, "recipients", "", "CSV `file`, in place of the campaign file's; - is standard input")
	flags.StringVar(&f.encoding, "encoding", "", "`encoding` of the CSV when it is not UTF-8, such as windows-1252, latin1, utf-16le")
	flags.BoolVar(&f.duplicates, "duplicates", false, "print the rows of the list whose address an earlier row has, and send nothing")
	flags.BoolVar(&f.sandbox, "sandbox", false, "use a throwaway queue and a server inside this process: nothing leaves")
	f.drainOptions.register(cmd)
	return cmd
}

func (a *app) send(cmd *cobra.Command, path string, f sendFlags) (err error) {
	ctx, cancel := f.bounded(cmd.Context())
	defer cancel()
	defer func() { err = early(ctx, err) }()
	p, err := openPlan(cmd, path, f)
	if err != nil {
		return err
	}
	rows, file, err := openRecipients(ctx, cmd, p, f)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := p.Compile(rows.Columns()); err != nil {
		return err
	}
	a.sayWarnings(cmd, p.Warnings())
	if f.sandbox {
		sandbox, err := p.EnterSandbox(ctx)
		if err != nil {
			return err
		}
		defer a.leaveSandbox(ctx, cmd, sandbox)
		a.db, a.networkFS = sandbox.Queue(), true
	}
	if err := p.Connect(); err != nil {
		return err
	}
	s, err := a.openStore(ctx, true)
	if err != nil {
		return err
	}
	defer s.Close()
	name := p.File.Name
	lease, err := s.Acquire(ctx, name)
	if err != nil {
		return err
	}
	defer lease.Release()
	if err := p.Deliverable(ctx, s); err != nil {
		return err
	}
	if err := a.recover(ctx, cmd, lease, name); err != nil {
		return err
	}
	loaded, err := p.Load(ctx, lease, rows, plan.LoadOptions{SkipInvalid: f.skipInvalid, AcceptChanges: f.accept})
	if err != nil {
		return notLoaded(ctx, err)
	}
	a.sayLoaded(cmd, p, loaded, rows.LeftOut().String())
	// This is done also when nobody was added: others may be left of an earlier run.
	if err := p.Recompile(ctx, s); err != nil {
		return err
	}
	run, err := p.Run(ctx, s, lease)
	if err != nil {
		return err
	}
	return a.drain(ctx, name, run, f.drainOptions)
}

// openPlan reads the campaign file and what it names.
func openPlan(cmd *cobra.Command, path string, f sendFlags) (*plan.Plan, error) {
	p, err := plan.Open(path)
	if err != nil {
		return nil, err
	}
	if cmd.Flags().Changed("name") { // an unset variable in a script is not "no name"
		if err := p.Rename(f.name); err != nil {
			return nil, usage(fmt.Errorf("--name: %w", err))
		}
	}
	return p, p.ReadFiles(f.outside)
}

// notLoaded is the error of a list that did not get into the queue.
func notLoaded(ctx context.Context, err error) error {
	var bad *plan.BadRows
	cause := context.Cause(ctx)
	switch {
	case cause != nil:
		return whileReading(cause)
	case errors.As(err, &bad):
		return usage(fmt.Errorf("rows that cannot be mailed: %w\nNothing was sent. Mend the list, or record such rows as invalid and go on with --skip-invalid", bad))
	}
	return err
}

// leaveSandbox ends a sandbox, and says what its server took.
func (a *app) leaveSandbox(ctx context.Context, cmd *cobra.Command, s *plan.Sandbox) {
	if took := s.Close(ctx); took > 0 && !a.quiet {
		fmt.Fprintf(cmd.ErrOrStderr(), "sandbox: its server took a message for each of %s; none has left this machine, and the queue was not touched\n", people(took))
	}
}

// recover settles what an interrupted run left, and says so.
func (a *app) recover(ctx context.Context, cmd *cobra.Command, lease store.Lease, name string) error {
	requeued, inDoubt, err := plan.Recover(ctx, lease)
	if err == nil && requeued+inDoubt > 0 {
		a.say(cmd, "%s: the last run was interrupted: %d back in the queue, %d in doubt", name, requeued, inDoubt)
	}
	return err
}

// people counts recipients.
func people(n int64) string {
	if n == 1 {
		return "1 recipient"
	}
	return humanize.Comma(n) + " recipients"
}

// sayLoaded says what came of the list, and what was left out of it.
func (a *app) sayLoaded(cmd *cobra.Command, p *plan.Plan, l store.Loaded, leftOut string) {
	words := []string{people(l.Added-l.Invalid-l.Suppressed) + " loaded"}
	if l.Suppressed > 0 {
		words = append(words, humanize.Comma(l.Suppressed)+" on the suppression list")
	}
	if l.Known > 0 {
		words = append(words, humanize.Comma(l.Known)+" there already or twice in the list (--duplicates names the latter)")
	}
	if l.Invalid > 0 {
		words = append(words, humanize.Comma(l.Invalid)+" invalid")
	}
	if l == (store.Loaded{}) {
		words = append(words, "as the list has none")
	}
	a.say(cmd, "%s: %s", p.File.Name, strings.Join(words, ", "))
	if l.Unranked > 0 {
		a.say(cmd, "%s: order_by: %s without a number or a date as %s, sent to last", p.File.Name, people(l.Unranked), text.Visible(p.File.OrderBy.Field))
	}
	a.sayLeftOut(cmd, leftOut)
}
