package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	pretty "github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"mailblast/campaign/text"
	"mailblast/cmd/plan"
	"mailblast/store"
)

// A reportHead is what JSON says of a campaign as a whole. Times are RFC 3339 in UTC, null when there is none.
type reportHead struct {
	Campaign string     `json:"campaign"`
	Started  *time.Time `json:"started"`
	Updated  *time.Time `json:"updated"`
	Finished *time.Time `json:"finished"`
	Counts   countsJSON `json:"counts"`
}

type countsJSON struct {
	Queued     int64 `json:"queued"`
	Claimed    int64 `json:"claimed"`
	Sending    int64 `json:"sending"`
	Sent       int64 `json:"sent"`
	Failed     int64 `json:"failed"`
	InDoubt    int64 `json:"in_doubt"`
	Suppressed int64 `json:"suppressed"`
	Invalid    int64 `json:"invalid"`
	Deferred   int64 `json:"deferred"` // contained in queued
}

type statusJSON struct {
	reportHead
	Rate       float64    `json:"rate"` // messages a second while it was last sent
	Running    bool       `json:"running"`
	NextDue    *time.Time `json:"next_due"`    // null: nothing waits, or it is due now
	WaitsFor   string     `json:"waits_for"`   // why nothing of it may be sent now; "": it does not wait
	WaitsUntil *time.Time `json:"waits_until"` // null: it does not wait
	Purged     *time.Time `json:"purged"`      // null: its recipients are there

	// null: the campaign file was purged, or cannot be read here, as the variable of a port is not set. Servers whose
	// host or user is in such a variable are left out.
	Servers []serverJSON `json:"servers"`
}

// stamp is a time for JSON.
func stamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func statusOf(c store.Campaign) statusJSON {
	s := statusJSON{
		reportHead: reportHead{Campaign: c.Name, Started: stamp(c.Started), Updated: stamp(c.Updated), Finished: stamp(c.Finished), Counts: countsJSON(c.Counts)},
		Rate:       c.Rate,
		Purged:     stamp(c.Purged),
	}
	if c.NextDue.After(time.Now()) {
		s.NextDue = stamp(c.NextDue)
	}
	return s
}

func (a *app) statusCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show one line for each campaign",
		Long: `Show how far each campaign is: counts, messages a second while it was last sent, and when there is something to send again: a deferred
recipient is due, its send_window opens, or there is something left of a quota. On a terminal that is too narrow for that, counts that are
zero for all campaigns are left out.

Below, one line for each campaign that has to wait for its send_window or not_before, and one for each server: what it was found to take, the
limits of the unfinished campaigns and what is left of their quotas, and why it waits. A server has the name that the campaign file gives it,
with host, port and user. Those of finished campaigns are there while something of them still holds: a quota of which a part is used up, or
what was found out in the last 30 days.

JSON is a list of objects, one for each campaign, with the fields of "mailblast report --format json" but for the recipients, and
  rate, running, purged                   messages a second while it was last sent; whether it is being sent; when its recipients were removed
  next_due                                when there is something to send again; null if that is now, or nothing is queued
  waits_for, waits_until                  why nothing of it may be sent now, by its send_window or not_before, and until when; "" and null if it may
  servers                                 those that it is sent over

Each of the servers has
  name, host, port, username, source_ip   which one it is; name as in the campaign file, or host and port
  rate_found, connections_found           messages a second, and connections, that it was found to take; 0: no limit was found
  limits                                  the campaign's rates, as in the campaign file
  quotas                                  the campaign's, and that of the warm-up's day: quota, left, and waits_until: when there is some again, if nothing is
  warmup_day                              from 1; 0 without a warm-up, or when it is over
  waits_for, waits_until                  why nothing is sent over it, or was at the end of the last run, and until when, if that is known
"servers" is null where the campaign file was purged, or cannot be read without a variable that is not set; servers whose host or user is in such a
variable are left out. Times are in UTC.`,
		Example: `  mailblast status
  mailblast status --format json | jq '.[] | select(.counts.in_doubt > 0)'
  mailblast status --format json | jq -r '.[] | select(.waits_for != "") | "\(.campaign): \(.waits_for)"'
  mailblast status --format json | jq -r '.[].servers[]? | select(.waits_for != "") | "\(.name): \(.waits_for)"'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.status(cmd, format) },
	}
	cmd.Flags().StringVar(&format, "format", "table", "`format`: table or json")
	return cmd
}

func (a *app) status(cmd *cobra.Command, format string) error {
	if format != "table" && format != "json" {
		return usage(fmt.Errorf("--format %q: it is table or json", format))
	}
	ctx := cmd.Context()
	all, lines := []statusJSON{}, []string(nil)
	s, err := a.openStore(ctx, false)
	if err != nil && !errors.Is(err, store.ErrNoQueue) {
		return err
	}
	if err == nil {
		defer s.Close()
		campaigns, err := s.Campaigns(ctx)
		if err != nil {
			return err
		}
		known, err := s.Servers(ctx)
		if err != nil {
			return err
		}
		now := time.Now()
		for _, c := range campaigns {
			status := statusOf(c)
			if status.Running, err = s.Held(ctx, c.Name); err != nil {
				return err
			}
			if format == "json" || c.Counts.Pending() > 0 || now.Sub(c.Updated) < plan.KnownFor {
				if err := status.ask(ctx, s, c, known, now); err != nil {
					return err
				}
			}
			all = append(all, status)
		}
		lines = append(campaignLines(all), serverLines(known, all, now)...)
	}
	if format == "json" {
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetIndent("", "  ")
		return e.Encode(all)
	}
	if len(all) == 0 {
		a.say(cmd, "no campaigns yet; begin with: mailblast init")
		return nil
	}
	width := terminalWidth(os.Stdout)
	for i, line := range lines {
		lines[i] = wrap(line, width)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), strings.Join(append([]string{statusTable(all, width)}, lines...), "\n"))
	return err
}

// statusTable is one line for each campaign. Where it is too wide for a terminal, columns that are zero for all of them
// are left out.
func statusTable(all []statusJSON, width int) string {
	t := newTable()
	t.AppendHeader(table.Row{"CAMPAIGN", "STATE", "SENT", "QUEUED", "DEFERRED", "FAILED", "IN DOUBT", "SUPPRESSED", "INVALID", "RATE", "NEXT DUE"})
	const firstCount = 3
	used := make([]bool, 7)
	for _, s := range all {
		c := s.Counts
		row := table.Row{s.Campaign, s.word()}
		for i, n := range []int64{c.Sent, s.pending(), c.Deferred, c.Failed, c.InDoubt, c.Suppressed, c.Invalid} {
			used[i] = used[i] || n > 0
			row = append(row, humanize.Comma(n))
		}
		t.AppendRow(append(row, fmt.Sprintf("%.0f/s", s.Rate), s.due()))
	}
	columns := []table.ColumnConfig{{Name: "RATE", Align: pretty.AlignRight, AlignHeader: pretty.AlignRight}}
	for i := range used {
		columns = append(columns, table.ColumnConfig{Number: firstCount + i, Align: pretty.AlignRight, AlignHeader: pretty.AlignRight})
	}
	t.SetColumnConfigs(columns)
	whole := t.Render()
	if width == 0 || pretty.LongestLineLen(whole) <= width {
		return whole
	}
	for i := range used {
		columns[1+i].Hidden = !used[i]
	}
	t.SetColumnConfigs(columns)
	return t.Render()
}

// ask adds what the campaign file says: the servers, and when the campaign goes on.
func (s *statusJSON) ask(ctx context.Context, q store.Queue, c store.Campaign, known []store.ServerState, now time.Time) error {
	o, err := plan.LookAhead(ctx, q, c, known, now)
	if err != nil || o == nil {
		return err
	}
	for _, v := range o.Servers {
		s.Servers = append(s.Servers, serverOf(v))
	}
	if s.Counts.Queued > 0 {
		s.NextDue, s.WaitsFor, s.WaitsUntil = stamp(o.Due), o.WaitsFor, stamp(o.WaitsUntil)
	}
	return nil
}

// campaignLines says why campaigns wait, in a line for each.
func campaignLines(all []statusJSON) (lines []string) {
	for _, s := range all {
		if s.WaitsFor != "" {
			lines = append(lines, text.Visible(s.Campaign)+" waits: "+text.Visible(s.WaitsFor))
		}
	}
	return lines
}

// wrap breaks a line at spaces where it is wider than width; 0: nowhere.
func wrap(line string, width int) string {
	const indent = "  "
	if width <= 0 {
		return line
	}
	var b strings.Builder
	column := 0
	for i, word := range strings.Split(line, " ") {
		n := pretty.StringWidth(word)
		switch {
		case i == 0:
		case column+1+n > width:
			b.WriteString("\n" + indent)
			column = len(indent)
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}

func (s statusJSON) word() string {
	switch pending := s.pending(); {
	case s.Purged != nil:
		return "purged"
	case s.Running:
		return "sending"
	case pending > 0 && s.Started == nil:
		return "loaded"
	case pending > 0:
		return "not finished"
	}
	return "done"
}

// pending counts the recipients who have no end state yet.
func (s statusJSON) pending() int64 { return s.Counts.Queued + s.Counts.Claimed + s.Counts.Sending }

func (s statusJSON) due() string {
	switch {
	case s.NextDue != nil:
		return s.NextDue.Local().Format("2006-01-02 15:04:05")
	case s.Counts.Queued > 0:
		return "now"
	}
	return "-"
}
