package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"mailblast/campaign"
	"mailblast/campaign/list"
	"mailblast/campaign/message"
	"mailblast/campaign/text"
	"mailblast/sender/sink"
	"mailblast/store"
)

// sampleRows are composed before the first message leaves.
const sampleRows = 100

type sendFlags struct {
	drainOptions
	name, recipients, encoding   string
	skipInvalid, accept, sandbox bool
	outside                      bool
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
		RunE: func(cmd *cobra.Command, args []string) error { return a.send(cmd, args[0], f) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.skipInvalid, "skip-invalid", false, "record rows that cannot be mailed as invalid, and go on")
	flags.BoolVar(&f.accept, "accept-changes", false, "go on with a campaign file or template that was changed after the first message left")
	flags.BoolVar(&f.outside, "allow-outside", false, "let the campaign file name templates and attachments outside of its folder")
	flags.StringVar(&f.name, "name", "", "`name` of the campaign, in place of the file's")
	flags.StringVar(&f.recipients, "recipients", "", "CSV `file`, in place of the campaign file's; - is standard input")
	flags.StringVar(&f.encoding, "encoding", "", "`encoding` of the CSV when it is not UTF-8, such as windows-1252, latin1, utf-16le")
	flags.BoolVar(&f.sandbox, "sandbox", false, "use a throwaway queue and a server inside this process: nothing leaves")
	f.drainOptions.register(cmd)
	return cmd
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

func (a *app) send(cmd *cobra.Command, path string, f sendFlags) (err error) {
	ctx, cancel := f.bounded(cmd.Context())
	defer cancel()
	defer func() { err = early(ctx, err) }()
	source, err := readSource(path)
	if err != nil {
		return usage(fmt.Errorf("campaign file: %w", err))
	}
	file, err := campaign.Parse(path, source, os.LookupEnv)
	if err != nil {
		return err
	}
	if cmd.Flags().Changed("name") { // an unset variable in a script is not "no name"
		if err := campaign.CheckName(f.name); err != nil {
			return usage(fmt.Errorf("--name: %w", err))
		}
		file.Name = f.name
	}
	files, err := readFiles(file, filepath.Dir(path), f.outside)
	if err != nil {
		return err
	}
	read := func(p string) ([]byte, error) { return files[p], nil }

	recipients, options, err := openRecipients(ctx, cmd, file, filepath.Dir(path), f)
	if err != nil {
		return err
	}
	defer recipients.Close()
	rows, err := list.ReadRecipients(recipients, options)
	if err != nil {
		return err
	}
	compiled, err := message.Compile(message.Source{File: file, Columns: rows.Columns(), Read: read})
	if err != nil {
		return err
	}

	if f.sandbox {
		end, err := a.enterSandbox(ctx, cmd.ErrOrStderr(), file)
		if err != nil {
			return err
		}
		defer end()
	}
	ts, err := transportsFor(file, read)
	if err != nil {
		return err
	}
	s, err := a.openStore(ctx, true)
	if err != nil {
		return err
	}
	defer s.Close()
	lease, err := s.Acquire(ctx, file.Name)
	if err != nil {
		return err
	}
	defer lease.Release()
	if err := deliverable(ctx, s, file); err != nil {
		return err
	}
	if err := a.recover(ctx, cmd, lease, file.Name); err != nil {
		return err
	}
	loader := loader{rows: rows, skip: f.skipInvalid, composer: compiled.Composer()}
	snapshot := store.Snapshot{
		Path: path, Source: source, Columns: rows.Columns(), Files: files,
		MessageDomain: file.From.Address.Domain, Durability: string(file.Delivery.Durability),
		Priority: file.Priority, Order: file.OrderBy.String(), Rank: list.Ranker(rows.Columns(), file.OrderBy.Field, file.OrderBy.Ascending),
	}
	if abs, err := filepath.Abs(path); err == nil {
		snapshot.Path = abs
	}
	loaded, err := lease.Load(ctx, snapshot, f.accept, a.crash.rows(loader.next))
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return whileReading(cause)
		}
		return err
	}
	a.say(cmd, "%s: %s", file.Name, loadedWords(loaded))
	if loaded.Unranked > 0 {
		a.say(cmd, "%s: order_by: %s without a number or a date as %s, sent to last", file.Name, people(loaded.Unranked), text.Visible(file.OrderBy.Field))
	}
	// The columns of the queue may be more than those of this list, and in another order; also when nobody was added, as others may
	// be left of an earlier run.
	if compiled, err = a.recompile(ctx, s, file, read); err != nil {
		return err
	}
	return a.drain(ctx, s, lease, file, compiled, ts, file.Name, f.drainOptions)
}

// recompile makes the message for the rows as the queue holds them.
func (a *app) recompile(ctx context.Context, s store.Queue, f *campaign.File, read func(string) ([]byte, error)) (*message.Compiled, error) {
	c, err := s.Campaign(ctx, f.Name)
	if err != nil {
		return nil, err
	}
	return message.Compile(message.Source{File: f, Columns: c.Columns, Read: read})
}

// recover settles what an interrupted run left, and says so.
func (a *app) recover(ctx context.Context, cmd *cobra.Command, lease store.Lease, name string) error {
	a.crash.step("before-recover")
	requeued, doubt, err := lease.Recover(ctx)
	a.crash.step("after-recover")
	if err == nil && requeued+doubt > 0 {
		a.say(cmd, "%s: the last run was interrupted: %d back in the queue, %d in doubt", name, requeued, doubt)
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

func loadedWords(l store.Loaded) string {
	words := []string{people(l.Added-l.Invalid-l.Suppressed) + " loaded"}
	if l.Suppressed > 0 {
		words = append(words, humanize.Comma(l.Suppressed)+" on the suppression list")
	}
	if l.Known > 0 {
		words = append(words, humanize.Comma(l.Known)+" there already or twice in the list")
	}
	if l.Invalid > 0 {
		words = append(words, humanize.Comma(l.Invalid)+" invalid")
	}
	if l == (store.Loaded{}) {
		words = append(words, "as the list has none")
	}
	return strings.Join(words, ", ")
}

// A loader turns rows of the CSV into recipients of the queue. It composes the messages of the first ones, so that a fault
// shows before anything is sent, and refuses a list with invalid rows unless they are to be skipped.
type loader struct {
	rows     *list.Recipients
	skip     bool
	composer *message.Composer

	sampled int
	bad     badRows
}

// next is what store.Lease.Load asks for.
func (l *loader) next() (store.Recipient, error) {
	for {
		row, err := l.rows.Next()
		if err == io.EOF && l.bad.n > 0 {
			return store.Recipient{}, l.refusal()
		}
		if err != nil {
			return store.Recipient{}, err
		}
		switch {
		case row.Err == nil && l.bad.n == 0:
			if l.sampled < sampleRows {
				l.sampled++
				if _, err := l.composer.Compose(message.Recipient{Address: row.Address, Values: row.Values, MessageID: "sample@localhost", Date: time.Now()}); err != nil {
					return store.Recipient{}, usage(fmt.Errorf("the message for line %d, %s: %w", row.Line, row.Address, err))
				}
			}
			return store.Recipient{Identity: row.Address.Key(), Address: row.Address.String(), Values: row.Values, Line: row.Line}, nil
		case row.Err == nil:
			// The list is refused; only how many rows are invalid is still of interest.
		case l.skip:
			// No address holds a space, so this cannot be one's identity.
			identity := "invalid " + row.Raw
			if row.Raw == "" {
				identity = fmt.Sprintf("invalid line %d", row.Line)
			}
			return store.Recipient{Identity: identity, Address: text.Visible(row.Raw), Values: row.Values, Line: row.Line, Invalid: row.Err.Error()}, nil
		default:
			l.bad.add(row.Err)
		}
	}
}

func (l *loader) refusal() error {
	return usage(fmt.Errorf("rows that cannot be mailed: %w\nNothing was sent. Mend the list, or record such rows as invalid and go on with --skip-invalid", &l.bad))
}

// enterSandbox puts a throwaway queue and a server inside this process in the place of the real ones.
func (a *app) enterSandbox(ctx context.Context, stderr io.Writer, f *campaign.File) (end func(), err error) {
	dir, err := os.MkdirTemp("", "mailblast-sandbox-")
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	server, err := sink.Start(context.WithoutCancel(ctx), sink.Options{Listen: "127.0.0.1:0"})
	if err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	a.db, a.networkFS = filepath.Join(dir, "queue.db"), true
	f.Servers = f.Servers[:1] // one takes the place of all
	to := &f.Servers[0]
	to.Name, to.Host, to.Port = server.Addr().String(), "127.0.0.1", server.Addr().(*net.TCPAddr).Port
	to.Security, to.CAFile, to.Username, to.Password, to.SourceIP = campaign.None, "", "", "", netip.Addr{}
	return func() {
		server.Close(context.WithoutCancel(ctx))
		os.RemoveAll(dir)
		if c := server.Counts(); !a.quiet && c.Accepted > 0 {
			fmt.Fprintf(stderr, "sandbox: its server took a message for each of %s; none has left this machine, and the queue was not touched\n", people(c.Distinct))
		}
	}, nil
}
