package cmd

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"mailblast/campaign/text"
	"mailblast/cmd/plan"
	"mailblast/store"
)

// A serverJSON is what is known about one of a campaign's servers. What was found, and why it waits, is the same for
// all campaigns that send over it.
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

	key   string // under which its limits are kept
	named bool   // the campaign file gives it a name
	used  bool   // a part of the campaign's limits is used up
}

type quotaJSON struct {
	Quota      string     `json:"quota"`
	Left       int        `json:"left"`
	WaitsUntil *time.Time `json:"waits_until"` // null: there is something left
}

// serverOf is a server of a campaign as JSON.
func serverOf(v plan.Server) serverJSON {
	s := serverJSON{
		Name: v.Name, Host: v.Host, Port: v.Port, Username: v.Username,
		RateFound: v.Rate, ConnectionsFound: v.Connections,
		Limits: append([]string{}, v.Limits...), Quotas: []quotaJSON{}, WarmupDay: v.WarmupDay,
		WaitsFor: v.WaitsFor, WaitsUntil: stamp(v.WaitsUntil),
		key: v.Account, named: v.Named, used: v.PartUsed,
	}
	if v.SourceIP.IsValid() {
		s.SourceIP = v.SourceIP.String()
	}
	for _, q := range v.Quotas {
		s.Quotas = append(s.Quotas, quotaJSON{q.Quota, q.Left, stamp(q.Again)})
	}
	return s
}

// serverLines says of each server what it was found to take, what the limits of the unfinished campaigns are, what is
// left of their quotas, and why it waits. Of a server that no unfinished campaign needs it says only what still holds:
// a queue may know the servers of ten years.
func serverLines(known []store.ServerState, campaigns []statusJSON, now time.Time) (lines []string) {
	for _, was := range known {
		servers, unfinished := asking(was.Name, campaigns, func(serverJSON) bool { return true })
		v := plan.KnownOf(was, now)
		waitsFor, until := v.WaitsFor, stamp(v.WaitsUntil)
		var words []string
		if v.Rate > 0 {
			words = append(words, fmt.Sprintf("takes about %.3g messages a second", v.Rate))
		}
		if v.Connections > 0 {
			words = append(words, fmt.Sprintf("lets in %d connections", v.Connections))
		}
		for _, s := range servers {
			if unfinished || s.used || len(words) > 0 {
				words = append(words, s.limitWords()...)
			}
			if waitsFor == "" {
				waitsFor, until = s.WaitsFor, s.WaitsUntil
			}
		}
		switch {
		case until != nil:
			words = append(words, "waits: "+waitsFor)
		case waitsFor != "" && (unfinished || now.Sub(was.Found) <= plan.KnownFor):
			words = append(words, "at the end of the last run: "+waitsFor)
		}
		if len(words) == 0 {
			continue
		}
		lines = append(lines, text.Visible(label(was.Name, campaigns))+": "+text.Visible(strings.Join(unique(words), "; ")))
	}
	return lines
}

// asking returns what the unfinished campaigns say of a server, if it is what is wanted. Where none says so, it returns
// what the last of the other campaigns says.
func asking(key string, campaigns []statusJSON, wanted func(serverJSON) bool) (all []serverJSON, unfinished bool) {
	for _, unfinished := range []bool{true, false} {
		for _, c := range slices.Backward(campaigns) {
			if c.pending() > 0 != unfinished {
				continue
			}
			for _, s := range c.Servers {
				if s.key == key && wanted(s) {
					all = append(all, s)
				}
			}
			if !unfinished && len(all) > 0 {
				break
			}
		}
		if len(all) > 0 {
			return all, unfinished
		}
	}
	return nil, false
}

// label returns the name of a server for a person, with the names that campaign files give it first.
func label(key string, campaigns []statusJSON) string {
	var names []string
	all, _ := asking(key, campaigns, func(s serverJSON) bool { return s.named })
	for _, s := range all {
		names = append(names, s.Name)
	}
	if len(names) == 0 {
		return key
	}
	return strings.Join(unique(names), ", ") + " (" + key + ")"
}

// unique leaves out words that came before.
func unique(words []string) (all []string) {
	for _, w := range words {
		if !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	return all
}

// limitWords names a campaign's limits for a server.
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
