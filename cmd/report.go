package cmd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gocarina/gocsv"
	"github.com/jedib0t/go-pretty/v6/table"
	pretty "github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"mailblast/campaign/text"
	"mailblast/cmd/plan"
	"mailblast/store"
)

// reportBatch is how many rows are laid out at a time, so that memory does not grow with the campaign.
const reportBatch = 1000

type reportFlags struct {
	failed, inDoubt, raw bool
	history              bool
	states               []string
	format, output       string
}

// A reportRow is a recipient, or an earlier attempt, as every format shows it.
type reportRow struct {
	Email     string `json:"email" csv:"email"`
	State     string `json:"state" csv:"state"`
	Attempts  int    `json:"attempts" csv:"attempts"`
	Code      int    `json:"code" csv:"code"`
	Status    string `json:"status" csv:"status"`
	Reply     string `json:"reply" csv:"reply"`
	Server    string `json:"server" csv:"server"`
	MessageID string `json:"message_id" csv:"message_id"`
	Updated   string `json:"updated" csv:"updated"`
}

func (a *app) reportCommand() *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "report [NAME]",
		Short: "Say what became of each recipient",
		Long: `List the recipients of a campaign with their state, the server's last reply and the time. Without a name it is the campaign
that was made last. See "mailblast help states" for the states. JSON and CSV name the server, too: by its name in the campaign file, or host and port. So does
the table, where the campaign file has several of them.

In CSV, cells that a spreadsheet would take for a formula begin with an apostrophe, unless --raw.`,
		Example: `  mailblast report --failed
  mailblast report spring-sale --format csv --output report.csv
  mailblast report spring-sale --format json | jq -r '.recipients[] | select(.code == 550) | .email'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.campaignNames,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.report(cmd, args, f) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.failed, "failed", false, "only those who were refused or given up")
	flags.BoolVar(&f.inDoubt, "in-doubt", false, "only those of whom only the server knows whether they were sent to")
	flags.StringSliceVar(&f.states, "state", nil, "only those in this `state`; may be given several times")
	flags.StringVar(&f.format, "format", "table", "`format`: table, json or csv")
	flags.StringVarP(&f.output, "output", "o", "", "write to this `file`, which is replaced as a whole")
	flags.BoolVar(&f.history, "history", false, "also how earlier attempts ended, each in a line before the last one's")
	flags.BoolVar(&f.raw, "raw", false, "CSV cells exactly as they are")
	return cmd
}

func (a *app) report(cmd *cobra.Command, args []string, f reportFlags) error {
	states, err := f.wanted()
	if err != nil {
		return err
	}
	write, ok := map[string]reporter{"table": reportTable, "json": reportJSON, "csv": reportCSV}[f.format]
	if !ok {
		return usage(fmt.Errorf("--format %q: it is table, json or csv", f.format))
	}
	ctx := cmd.Context()
	s, err := a.openStore(ctx, false)
	if err != nil {
		return err
	}
	defer s.Close()
	c, err := chosen(ctx, s, args)
	if err != nil {
		return err
	}
	if !c.Purged.IsZero() {
		a.say(cmd, "%s: its recipients were removed on %s; only counts are left", c.Name, c.Purged.Local().Format(time.DateOnly))
	}
	servers, err := plan.ServerNames(ctx, s, c)
	if err != nil {
		return err
	}
	if len(servers) == 1 {
		servers = nil // there is nothing to tell apart
	}
	rows := func(yield func([]reportRow) error) error { return batches(ctx, s, c.Name, states, f, yield) }
	if f.output == "" {
		out := bufio.NewWriter(cmd.OutOrStdout())
		return errors.Join(write(out, c, servers, rows), out.Flush())
	}
	return replaceFile(f.output, func(w io.Writer) error { return write(w, c, servers, rows) })
}

// wanted returns the states to show; none means all.
func (f reportFlags) wanted() ([]store.State, error) {
	var states []store.State
	if f.failed {
		states = append(states, store.Failed)
	}
	if f.inDoubt {
		states = append(states, store.InDoubt)
	}
	var known []string
	for _, info := range store.States() {
		known = append(known, string(info.State))
	}
	for _, s := range f.states {
		if !slices.Contains(known, s) {
			return nil, usage(fmt.Errorf("--state %q: the states are %s", s, strings.Join(known, ", ")))
		}
		states = append(states, store.State(s))
	}
	return states, nil
}

// chosen returns the campaign that the arguments name, or else the one made last.
func chosen(ctx context.Context, s store.Queue, args []string) (store.Campaign, error) {
	if len(args) > 0 {
		return s.Campaign(ctx, args[0])
	}
	all, err := s.Campaigns(ctx)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%w: the queue is empty", store.ErrNoCampaign)
	}
	if err != nil {
		return store.Campaign{}, err
	}
	return all[len(all)-1], nil
}

// batches reads the recipients, and yields reportBatch rows at a time.
func batches(ctx context.Context, s store.Queue, name string, states []store.State, f reportFlags, yield func([]reportRow) error) error {
	batch := make([]reportRow, 0, reportBatch)
	add := func(row reportRow) error {
		row.Email, row.Status, row.Reply, row.Server = text.ForTerminal(row.Email), text.ForTerminal(row.Status), text.ForTerminal(row.Reply), text.ForTerminal(row.Server)
		if f.format == "csv" && !f.raw {
			row.Email, row.Status, row.Reply, row.Server = harmless(row.Email), harmless(row.Status), harmless(row.Reply), harmless(row.Server)
		}
		if batch = append(batch, row); len(batch) < reportBatch {
			return nil
		}
		err := yield(batch)
		batch = batch[:0]
		return err
	}
	err := s.Rows(ctx, name, states, f.history, func(r store.Row) error {
		row := reportRow{Email: r.Email, MessageID: r.MessageID}
		for i, a := range r.Earlier {
			row.State, row.Attempts = string(a.State), i+1
			row.Code, row.Status, row.Reply, row.Server, row.Updated = a.Code, a.Status, a.Reply, a.Server, a.At.Format(time.RFC3339)
			if err := add(row); err != nil {
				return err
			}
		}
		row.State, row.Attempts = string(r.State), r.Attempts
		row.Code, row.Status, row.Reply, row.Server, row.Updated = r.Code, r.Status, r.Reply, r.Server, r.Updated.Format(time.RFC3339)
		return add(row)
	})
	if err != nil || len(batch) == 0 {
		return err
	}
	return yield(batch)
}

// A reporter writes a campaign: the names of its servers, if there are several, and its recipients, which rows yields
// in batches.
type reporter func(w io.Writer, c store.Campaign, servers []string, rows func(func([]reportRow) error) error) error

func reportTable(w io.Writer, c store.Campaign, servers []string, rows func(func([]reportRow) error) error) error {
	const emailWidth, serverWidth, replyWidth = 36, 24, 60
	t := newTable()
	header := table.Row{"EMAIL", "STATE", "ATTEMPTS", "REPLY"}
	columns := []table.ColumnConfig{
		{Number: 1, WidthMin: emailWidth}, {Number: 2, WidthMin: 10}, {Number: 3, WidthMin: 8, Align: pretty.AlignRight},
	}
	reply := replyWidth
	if len(servers) > 0 {
		width := len("SERVER")
		for _, name := range servers {
			width = min(max(width, utf8.RuneCountInString(name)), serverWidth)
		}
		header = slices.Insert(header, 3, any("SERVER"))
		columns = append(columns, table.ColumnConfig{Number: 4, WidthMin: width, WidthMax: width, WidthMaxEnforcer: pretty.WrapHard})
		reply -= width + 2 // so that the table is no wider than without servers
	}
	t.AppendHeader(header)
	t.SetColumnConfigs(append(columns, table.ColumnConfig{Number: len(header), WidthMax: reply, WidthMaxEnforcer: pretty.WrapSoft}))
	some := false
	err := rows(func(batch []reportRow) error {
		some = true
		for _, r := range batch {
			words := []string{r.Status, r.Reply}
			if r.Code != 0 {
				words = slices.Insert(words, 0, fmt.Sprint(r.Code))
			}
			row := table.Row{r.Email, r.State, r.Attempts, strings.Join(strings.Fields(strings.Join(words, " ")), " ")}
			if len(servers) > 0 {
				row = slices.Insert(row, 3, any(r.Server))
			}
			t.AppendRow(row)
		}
		_, err := fmt.Fprintln(w, t.Render())
		t.ResetRows()
		t.ResetHeaders()
		return err
	})
	if err == nil && !some {
		_, err = fmt.Fprintf(w, "%s: no such recipients\n", c.Name)
	}
	return err
}

// newTable returns a table without lines, whose columns are two spaces apart, so that it can be piped.
func newTable() table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.Style{
		Box:     table.BoxStyle{PaddingRight: "  "},
		Format:  table.FormatOptions{Header: pretty.FormatDefault},
		Options: table.OptionsNoBordersAndSeparators,
	})
	t.SuppressTrailingSpaces()
	return t
}

func reportJSON(w io.Writer, c store.Campaign, _ []string, rows func(func([]reportRow) error) error) error {
	head, err := json.Marshal(statusOf(c).reportHead)
	if err != nil {
		return err
	}
	// The recipients are written as they come from the queue, before the brace that ends head.
	fmt.Fprintf(w, "%s,\"recipients\":[", strings.TrimSuffix(string(head), "}"))
	separator := "\n"
	err = rows(func(batch []reportRow) error {
		for _, r := range batch {
			line, err := json.Marshal(r)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprint(w, separator, string(line)); err != nil {
				return err
			}
			separator = ",\n"
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(w, "\n]}\n")
	return err
}

func reportCSV(w io.Writer, _ store.Campaign, _ []string, rows func(func([]reportRow) error) error) error {
	out := gocsv.DefaultCSVWriter(w)
	if err := gocsv.MarshalCSV([]reportRow{}, out); err != nil {
		return err
	}
	return rows(func(batch []reportRow) error { return gocsv.MarshalCSVWithoutHeaders(batch, out) })
}

// replaceFile writes a file, which is at any time either the old one or the whole new one, also behind a symbolic link.
// Only its owner may read it: it holds addresses. A pipe or a device is written to as it is.
func replaceFile(path string, write func(io.Writer) error) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return usage(fmt.Errorf("--output: %w", err))
		}
		out := bufio.NewWriter(f)
		return errors.Join(write(out), out.Flush(), f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return usage(fmt.Errorf("--output: %w", err))
	}
	defer os.Remove(f.Name())
	out := bufio.NewWriter(f)
	err = write(out)
	if err == nil {
		err = errors.Join(out.Flush(), f.Sync())
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	return os.Rename(f.Name(), path)
}
