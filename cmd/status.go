package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

	// null: the campaign file was purged, or cannot be read here, as the variable of a port is not set. Servers whose host or user is in
	// such a variable are left out.
	Servers []serverJSON `json:"servers"`
}

// A serverJSON is what is known about one of a campaign's servers. What was found, and what it waits for, is the same for all campaigns that
// send over it.
type serverJSON struct {
	Name             string      `json:"name"` // in the campaign file, or host and port
	Host             string      `json:"host"`
	Port             int         `json:"port"`
	Username         string      `json:"username"`
	SourceIP         string      `json:"source_ip"`
	RateFound        float64     `json:"rate_found"`        // messages a second; 0: no limit was found
	ConnectionsFound int         `json:"connections_found"` // 0: no limit was found
	Limits           []string    `json:"limits"`            // the campaign's rates
	Quotas           []quotaJSON `json:"quotas"`            // the campaign's, and that of the warm-up's day
	WarmupDay        int         `json:"warmup_day"`        // from 1; 0: there is no warm-up, or it is over
	WaitsFor         string      `json:"waits_for"`         // why nothing is sent over it; "": it does not wait
	WaitsUntil       *time.Time  `json:"waits_until"`       // null: nobody knows, or it does not wait

	key string // that its limits are kept under
}

type quotaJSON struct {
	Quota string     `json:"quota"`
	Left  int        `json:"left"`
	Again *time.Time `json:"again"` // null: there is something left
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
		Long: `Show how far each campaign is: counts, messages a second while it was last sent, and when the next deferred recipient is due.
Below, one line for each server: what it was found to take, the limits of the unfinished campaigns and what is left of them, and why it waits.

JSON has the servers of each campaign in its "servers":
  name, host, port, username, source_ip   which one it is; name as in the campaign file, or host and port
  rate_found, connections_found           messages a second, and connections, that it was found to take; 0: no limit was found
  limits                                  the campaign's rates, as in the campaign file
  quotas                                  the campaign's, and that of the warm-up's day: quota, left, and when there is some again, if nothing is
  warmup_day                              from 1; 0 without a warm-up, or when it is over
  waits_for, waits_until                  why nothing is sent over it, or was at the end of the last run, and until when, if that is known
It is null where the campaign file was purged, or cannot be read without a variable that is not set; servers whose host or user is in such a
variable are left out. Times are in UTC.`,
		Example: `  mailblast status
  mailblast status --format json | jq '.[] | select(.counts.in_doubt > 0)'
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
		for _, c := range campaigns {
			status := statusOf(c)
			status.Running = s.Held(c.Name)
			if format == "json" || c.Counts.Pending() > 0 {
				if status.Servers, err = serversOf(ctx, s, c, known); err != nil {
					return err
				}
			}
			all = append(all, status)
		}
		lines = serverLines(known, all)
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
		t.AppendRow(table.Row{s.Campaign, s.word(), humanize.Comma(c.Sent), humanize.Comma(s.pending()), humanize.Comma(c.Deferred),
			humanize.Comma(c.Failed), humanize.Comma(c.InDoubt), humanize.Comma(c.Suppressed), humanize.Comma(c.Invalid), fmt.Sprintf("%.0f/s", s.Rate), s.due()})
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), strings.Join(append([]string{t.Render()}, lines...), "\n"))
	return err
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

// pending is how many recipients have no end state yet.
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

// serversOf are a campaign's servers; nil: its file cannot be read here. Left out are those whose host or user is in a variable that is not set.
func serversOf(ctx context.Context, s *store.Store, c store.Campaign, known []store.Server) (all []serverJSON, err error) {
	source, err := s.Source(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	f, err := parseWithoutSecrets(c.Path, source)
	if err != nil {
		return nil, nil
	}
	now := time.Now()
	for i := range f.Servers {
		to := &f.Servers[i]
		if to.Host == unset || to.Username == unset {
			continue
		}
		var was store.Server
		if at := slices.IndexFunc(known, func(v store.Server) bool { return v.Name == serverName(to) }); at >= 0 {
			was = known[at]
		}
		v := foundOut(was, now)
		v.key = serverName(to)
		v.Name, v.Host, v.Port, v.Username = to.Name, to.Host, to.Port, to.Username
		if to.SourceIP.IsValid() {
			v.SourceIP = to.SourceIP.String()
		}
		for _, r := range to.Limits.Rates {
			v.Limits = append(v.Limits, r.String())
		}
		quotas := to.Limits.Quotas
		if w := to.Limits.Warmup; w != nil {
			day := 0
			if !was.First.IsZero() {
				day = int(now.Sub(was.First) / (24 * time.Hour))
			}
			if q, ok := w.Quota(day); ok {
				v.WarmupDay = day + 1
				quotas = append(quotas[:len(quotas):len(quotas)], q)
			}
		}
		for _, q := range quotas {
			left, again, err := s.Left(ctx, serverName(to), storeRate(q), now)
			if err != nil {
				return nil, err
			}
			v.Quotas = append(v.Quotas, quotaJSON{q.String(), max(left, 0), stamp(again)})
		}
		all = append(all, v)
	}
	return all, nil
}

// foundOut is what was found out about a server.
func foundOut(was store.Server, now time.Time) serverJSON {
	v := serverJSON{RateFound: was.Rate, ConnectionsFound: was.Connections, Limits: []string{}, Quotas: []quotaJSON{}}
	if was.WaitsUntil.IsZero() || was.WaitsUntil.After(now) {
		v.WaitsFor, v.WaitsUntil = was.WaitsFor, stamp(was.WaitsUntil)
	}
	return v
}

// serverLines says of each server what it was found to take, what the limits of the unfinished campaigns are, what is left of their
// quotas, and why it waits.
func serverLines(known []store.Server, campaigns []statusJSON) (lines []string) {
	now := time.Now()
	for _, was := range known {
		v := foundOut(was, now)
		var words []string
		if v.RateFound > 0 {
			words = append(words, fmt.Sprintf("takes about %.3g messages a second", v.RateFound))
		}
		if v.ConnectionsFound > 0 {
			words = append(words, fmt.Sprintf("lets in %d connections", v.ConnectionsFound))
		}
		for _, c := range campaigns {
			for _, s := range c.Servers {
				if s.key != was.Name || c.pending() == 0 {
					continue
				}
				for _, w := range s.limitWords() {
					if !slices.Contains(words, w) {
						words = append(words, w)
					}
				}
			}
		}
		switch {
		case v.WaitsUntil != nil:
			words = append(words, "waits: "+v.WaitsFor)
		case v.WaitsFor != "":
			words = append(words, "at the end of the last run: "+v.WaitsFor)
		}
		if len(words) > 0 {
			lines = append(lines, visible(was.Name)+": "+visible(strings.Join(words, "; ")))
		}
	}
	return lines
}

// limitWords are a campaign's limits for a server.
func (v serverJSON) limitWords() (words []string) {
	for _, r := range v.Limits {
		words = append(words, "limit "+r)
	}
	if v.WarmupDay > 0 {
		words = append(words, fmt.Sprintf("day %d of the warm-up", v.WarmupDay))
	}
	for _, q := range v.Quotas {
		words = append(words, fmt.Sprintf("%s left of %s", humanize.Comma(int64(q.Left)), q.Quota))
	}
	return words
}
