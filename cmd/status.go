package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

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
	Rate    float64    `json:"rate"` // messages a second while it was last sent
	Running bool       `json:"running"`
	NextDue *time.Time `json:"next_due"` // null: nothing waits, or it is due now
	Purged  *time.Time `json:"purged"`   // null: its recipients are there
}

func statusOf(c store.Campaign) statusJSON {
	stamp := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		return &t
	}
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
		Long: `Show how far each campaign is: counts, messages a second while it was last sent, and when the next deferred recipient is due.
Below, one line for each server: what it was found to take, the limits of the unfinished campaigns and what is left of them, and why it waits.`,
		Example: `  mailblast status
  mailblast status --format json | jq '.[] | select(.counts.in_doubt > 0)'`,
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
	all, servers := []statusJSON{}, []string(nil)
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
		for _, c := range campaigns {
			status := statusOf(c)
			status.Running = s.Held(c.Name)
			all = append(all, status)
		}
		if format == "table" {
			if servers, err = serverLines(ctx, s, campaigns); err != nil {
				return err
			}
		}
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
	t := newTable()
	t.AppendHeader(table.Row{"CAMPAIGN", "STATE", "SENT", "QUEUED", "DEFERRED", "FAILED", "IN DOUBT", "SUPPRESSED", "INVALID", "RATE", "NEXT DUE"})
	var columns []table.ColumnConfig
	for n := 3; n <= 10; n++ {
		columns = append(columns, table.ColumnConfig{Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	for _, s := range all {
		c := s.Counts
		t.AppendRow(table.Row{s.Campaign, s.word(), humanize.Comma(c.Sent), humanize.Comma(c.Queued + c.Claimed + c.Sending), humanize.Comma(c.Deferred),
			humanize.Comma(c.Failed), humanize.Comma(c.InDoubt), humanize.Comma(c.Suppressed), humanize.Comma(c.Invalid), fmt.Sprintf("%.0f/s", s.Rate), s.due()})
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), strings.Join(append([]string{t.Render()}, servers...), "\n"))
	return err
}

func (s statusJSON) word() string {
	switch pending := s.Counts.Queued + s.Counts.Claimed + s.Counts.Sending; {
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

func (s statusJSON) due() string {
	switch {
	case s.NextDue != nil:
		return s.NextDue.Local().Format("2006-01-02 15:04:05")
	case s.Counts.Queued > 0:
		return "now"
	}
	return "-"
}
