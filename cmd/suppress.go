package cmd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"mailblast/cmd/plan"
	"mailblast/store"
)

const suppressLong = `The suppression list holds who is never mailed, by any campaign of the queue: addresses, and whole domains.

  ada@example.com   this address, in any case
  @example.com      everybody at this domain, but not at the domains below it
  @.example.com     everybody at this domain and at all domains below it

"mailblast send" looks at it when it loads recipients, and again before it sends to each, so that an entry also holds for campaigns
that are being sent: only the messages that are on their way at that moment still leave. A recipient on the list becomes
"suppressed" with the reason, and stays so when the entry is removed; to mail them after all, remove the entry and send another
campaign to them.

An address that a server calls dead (hard_bounce, see "mailblast explain") goes on the list by itself, with the reply as the
reason and the campaign as the source, if the server takes other recipients in the same run. One that takes nobody may have lost its
directory of users: its word puts nobody on the list. The first reason for an entry is the one that is kept.`

func (a *app) suppressCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "suppress",
		Short: "Addresses and domains that are never mailed",
		Long:  suppressLong,
		Example: `  mailblast suppress add ada@example.com --reason 'asked by phone'
  mailblast suppress import unsubscribed.csv
  mailblast suppress check ada@example.com`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return usage(fmt.Errorf("suppress %s: there is no such command; there are add, remove, import, export, list and check", args[0]))
		},
	}
	cmd.AddCommand(a.suppressAdd(), a.suppressRemove(), a.suppressImport(), a.suppressExport(), a.suppressList(), a.suppressCheck())
	return cmd
}

func someEntries(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return nil
	}
	return fmt.Errorf("%s needs addresses, or domains as in @example.com; a file of them is for \"mailblast suppress import FILE\"", cmd.Name())
}

// openSuppressionList opens the queue of a suppression list that is not added to.
func (a *app) openSuppressionList(ctx context.Context) (store.Queue, error) {
	s, err := a.openStore(ctx, false)
	if errors.Is(err, store.ErrNoQueue) {
		err = fmt.Errorf("%w; \"mailblast suppress add\" and \"import\" make one, and --db names another", err)
	}
	return s, err
}

func (a *app) suppressAdd() *cobra.Command {
	var reason, source string
	cmd := &cobra.Command{
		Use:   "add ADDRESS|@DOMAIN…",
		Short: "Put addresses and domains on the list",
		Long:  "Put addresses and domains on the list. Those that are on it already stay as they are.",
		Example: `  mailblast suppress add ada@example.com bob@example.org --reason 'asked by phone'
  mailblast suppress add @example.com               # the whole domain
  mailblast suppress add @.example.com              # and all domains below it`,
		Args: someEntries,
		RunE: func(cmd *cobra.Command, args []string) error {
			entries, err := parseEntries(args)
			if err != nil {
				return err
			}
			s, err := a.openStore(cmd.Context(), true)
			if err != nil {
				return err
			}
			defer s.Close()
			added, known, err := s.Suppress(cmd.Context(), func() (store.Suppression, error) {
				if len(entries) == 0 {
					return store.Suppression{}, io.EOF
				}
				e := store.Suppression{Address: entries[0], Reason: reason, Source: source}
				entries = entries[1:]
				return e, nil
			})
			if err == nil {
				a.say(cmd, "%s", addedWords(added, known))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, as the report will say")
	cmd.Flags().StringVar(&source, "source", "by hand", "where this is from")
	return cmd
}

func addedWords(added, known int64) string {
	text := humanize.Comma(added) + " added to the suppression list"
	if known > 0 {
		text += ", " + humanize.Comma(known) + " on it already"
	}
	return text
}

func (a *app) suppressRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove ADDRESS|@DOMAIN…",
		Short: "Take addresses and domains off the list",
		Long: `Take entries off the list. Recipients that were suppressed because of them stay suppressed in their campaigns.

It is no error when an entry is not there.`,
		Example: `  mailblast suppress remove ada@example.com
  mailblast suppress list --source spring-sale --format json | jq -r '.[].address' | xargs mailblast suppress remove`,
		Args: someEntries,
		RunE: func(cmd *cobra.Command, args []string) error {
			entries, err := parseEntries(args)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			s, err := a.openSuppressionList(ctx)
			if err != nil {
				return err
			}
			defer s.Close()
			removed, err := s.Unsuppress(ctx, entries)
			if err != nil {
				return err
			}
			a.say(cmd, "%s removed from the suppression list", humanize.Comma(int64(len(removed))))
			for _, entry := range entries {
				switch wider, still, err := s.Suppressed(ctx, entry); {
				case err != nil:
					return err
				case still:
					a.say(cmd, "%s stays suppressed, as %s is on the list", shownEntry(entry), wider.Address)
				}
			}
			return nil
		},
	}
}

type suppressImportFlags struct {
	reason, source, encoding string
	skipInvalid              bool
}

func (a *app) suppressImport() *cobra.Command {
	var f suppressImportFlags
	cmd := &cobra.Command{
		Use:   "import FILE|-",
		Short: "Put a file of addresses and domains on the list",
		Long: `Put the addresses and domains of a CSV on the list; - is standard input. The column address (or email) is needed; reason, source
and created are taken where there are such columns; others are passed over. A list of addresses alone needs no header. The file is
UTF-8, unless --encoding says otherwise. Dates are as in 2026-01-31 or 2026-01-31T10:00:00Z, or in seconds since 1970; any other counts
as now. What "mailblast suppress export" writes is read back.

Rows that are no addresses are listed with their line, the first 20, and then nothing is imported: exit code 2. With
--skip-invalid the others are.`,
		Example: `  mailblast suppress import unsubscribed.csv --reason unsubscribed
  cut -d, -f3 complaints.csv | mailblast suppress import - --source 'abuse desk'
  mailblast --db old.db suppress export | mailblast --db new.db suppress import -`,
		Args: oneArg("a CSV file, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.importSuppressions(cmd, args[0], f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.reason, "reason", "", "why, for rows that do not say so")
	flags.StringVar(&f.source, "source", "", "where this is from, for rows that do not say so (default the file's name)")
	flags.StringVar(&f.encoding, "encoding", "", "`encoding` of the file when it is not UTF-8, such as windows-1252, latin1, utf-16le")
	flags.BoolVar(&f.skipInvalid, "skip-invalid", false, "leave out rows that are no addresses")
	return cmd
}

func (a *app) importSuppressions(cmd *cobra.Command, path string, f suppressImportFlags) (err error) {
	ctx := cmd.Context()
	defer func() { err = early(ctx, err) }()
	rows, file, name, err := openSuppressions(ctx, cmd, path, f.encoding)
	if err != nil {
		return err
	}
	defer file.Close()
	if f.source == "" {
		f.source = filepath.Base(name)
	}
	s, err := a.openStore(ctx, true)
	if err != nil {
		return err
	}
	defer s.Close()
	var bad plan.BadRows
	added, known, err := s.Suppress(ctx, plan.Suppressions(rows, f.reason, f.source, &bad, f.skipInvalid))
	if refused := (*plan.BadRows)(nil); errors.As(err, &refused) {
		return usage(fmt.Errorf("rows that are no addresses: %w\nNothing was imported. Mend the list, or leave such rows out with --skip-invalid", refused))
	}
	if err != nil {
		return err
	}
	a.say(cmd, "%s", addedWords(added, known))
	a.sayLeftOut(cmd, rows.LeftOut().String())
	if bad.N > 0 {
		a.say(cmd, "rows left out, as they are no addresses: %v", &bad)
	}
	return nil
}

func (a *app) suppressCheck() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "check [ADDRESS…]",
		Short: "Say whether an address is on the list, and why",
		Long: `Say of each address whether it is on the list, by itself or by its domain, and why. Without an argument the addresses are read from
standard input, one a line. With --quiet nothing is said, and the exit code is the answer.

Exit codes: 0 none of them is on the list; 3 at least one is; 2 a line is no address (it is reported with its number, and the
others go on), or there is no queue.`,
		Example: `  mailblast suppress check ada@example.com
  if mailblast suppress check --quiet "$address"; then echo 'may be mailed'; fi
  cut -d, -f1 members.csv | mailblast suppress check --format json | jq -r 'select(.suppressed) | .address'`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.checkSuppressed(cmd, args, format) },
	}
	cmd.Flags().StringVar(&format, "format", "text", "`format`: text, or json: one object a line")
	return cmd
}

// A checkedAddress is what check says of one. The fields are part of the contract with scripts.
type checkedAddress struct {
	Address    string `json:"address"`
	Suppressed bool   `json:"suppressed"`
	Entry      string `json:"entry"` // the address, or its domain
	Reason     string `json:"reason"`
	Source     string `json:"source"`
	Created    string `json:"created"`
}

func (a *app) checkSuppressed(cmd *cobra.Command, args []string, format string) error {
	if format != "text" && format != "json" {
		return usage(fmt.Errorf("--format %q: it is text or json", format))
	}
	var addresses io.Reader = strings.NewReader(strings.Join(args, "\n"))
	name := "argument "
	if len(args) == 0 {
		addresses, name = cmd.InOrStdin(), standardInput+":"
	}
	ctx := cmd.Context()
	s, err := a.openSuppressionList(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	out := cmd.OutOrStdout()
	if a.quiet {
		out = io.Discard
	}
	listed, bad := 0, 0
	lines := bufio.NewScanner(addresses)
	for n := 1; lines.Scan() && ctx.Err() == nil; n++ {
		if strings.TrimSpace(lines.Text()) == "" && len(args) == 0 {
			continue
		}
		entry, err := parseEntry(lines.Text())
		if err != nil {
			bad++
			fmt.Fprintf(cmd.ErrOrStderr(), "%s%d: %v\n", name, n, err)
			continue
		}
		found, err := checkOne(ctx, s, entry, format, out)
		if err != nil {
			return err
		}
		if found {
			listed++
		}
	}
	switch err := lines.Err(); {
	case err != nil:
		return usage(fmt.Errorf("%s: %w", standardInput, err))
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case bad > 0:
		return usage(errors.New("not every one of them is an address"))
	case listed > 0:
		return &exit{code: exitFailures}
	}
	return nil
}

// checkOne writes what is known about an entry, and reports whether it is on the list.
func checkOne(ctx context.Context, s store.Queue, entry, format string, out io.Writer) (bool, error) {
	e, found, err := s.Suppressed(ctx, entry)
	if err != nil {
		return false, err
	}
	if format == "json" {
		c := checkedAddress{Address: shownEntry(entry), Suppressed: found}
		if found {
			c.Entry, c.Reason, c.Source, c.Created = shownEntry(e.Address), e.Reason, e.Source, e.Created.Format(time.RFC3339)
		}
		line := json.NewEncoder(out)
		line.SetEscapeHTML(false)
		return found, line.Encode(c)
	}
	text := "not suppressed"
	if found {
		text = "suppressed since " + e.Created.Local().Format(time.DateOnly)
		if e.Address != entry {
			text += " as " + e.Address
		}
		if e.Reason != "" {
			text += ": " + e.Reason
		}
		if e.Source != "" {
			text += " (" + e.Source + ")"
		}
	}
	_, err = fmt.Fprintf(out, "%s: %s\n", shownEntry(entry), text)
	return found, err
}
