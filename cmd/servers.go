package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"mailblast/campaign"
	"mailblast/campaign/text"
	"mailblast/store"
)

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

	key   string // that its limits are kept under
	named bool   // the campaign file gives it a name
	used  bool   // a part of the campaign's limits is used up
}

type quotaJSON struct {
	Quota      string     `json:"quota"`
	Left       int        `json:"left"`
	WaitsUntil *time.Time `json:"waits_until"` // null: there is something left
}

// serversOf are the servers of a campaign that was updated then. Left out are those whose host or user is in a variable that is not set.
func serversOf(ctx context.Context, s store.Queue, f *campaign.File, updated time.Time, known []store.ServerState, now time.Time) (all []serverJSON, err error) {
	for i := range f.Servers {
		to := &f.Servers[i]
		if to.Host == unset || to.Username == unset {
			continue
		}
		var was store.ServerState
		if at := slices.IndexFunc(known, func(v store.ServerState) bool { return v.Name == to.Account() }); at >= 0 {
			was = known[at]
		}
		v := foundOut(was, now)
		v.key, v.named = to.Account(), to.Name != hostPort(to)
		v.Name, v.Host, v.Port, v.Username = to.Name, to.Host, to.Port, to.Username
		if to.SourceIP.IsValid() {
			v.SourceIP = to.SourceIP.String()
		}
		for _, r := range to.Limits.Rates {
			v.Limits = append(v.Limits, r.String())
			v.used = v.used || r.Per >= time.Hour && now.Sub(updated) < r.Per
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
			left, again, err := s.Left(ctx, v.key, storeRate(q), now)
			if err != nil {
				return nil, err
			}
			v.Quotas = append(v.Quotas, quotaJSON{q.String(), max(left, 0), stamp(again)})
			v.used = v.used || left < q.N
			if until := v.WaitsUntil; !again.IsZero() && (v.WaitsFor == "" || until != nil && until.Before(again.Add(-time.Second))) {
				v.WaitsFor, v.WaitsUntil = fmt.Sprintf("the quota of %s is used up; it goes on at %s", q, again.Local().Format(momentFormat)), stamp(again)
			}
		}
		all = append(all, v)
	}
	return all, nil
}

// quotasAgain is when one of a campaign's servers has something left of all of its quotas; zero: one has, as far as is known.
func quotasAgain(servers []serverJSON) (first time.Time) {
	for _, v := range servers {
		var again time.Time
		for _, q := range v.Quotas {
			if q.WaitsUntil != nil && q.WaitsUntil.After(again) {
				again = *q.WaitsUntil
			}
		}
		if again.IsZero() {
			return again
		}
		if first.IsZero() || again.Before(first) {
			first = again
		}
	}
	return first
}

// foundOut is what was found out about a server, for as long as it is taken for true.
func foundOut(was store.ServerState, now time.Time) serverJSON {
	v := serverJSON{Limits: []string{}, Quotas: []quotaJSON{}}
	if now.Sub(was.Found) <= foundMost {
		v.RateFound, v.ConnectionsFound = was.Rate, was.Connections
	}
	if was.WaitsUntil.IsZero() || was.WaitsUntil.After(now) {
		v.WaitsFor, v.WaitsUntil = was.WaitsFor, stamp(was.WaitsUntil)
	}
	return v
}

// serverLines says of each server what it was found to take, what the limits of the unfinished campaigns are, what is left of their
// quotas, and why it waits. Of a server that no unfinished campaign needs there is only what still holds: a queue may know those of ten years.
func serverLines(known []store.ServerState, campaigns []statusJSON, now time.Time) (lines []string) {
	for _, was := range known {
		servers, unfinished := asking(was.Name, campaigns, func(serverJSON) bool { return true })
		v := foundOut(was, now)
		var words []string
		if v.RateFound > 0 {
			words = append(words, fmt.Sprintf("takes about %.3g messages a second", v.RateFound))
		}
		if v.ConnectionsFound > 0 {
			words = append(words, fmt.Sprintf("lets in %d connections", v.ConnectionsFound))
		}
		for _, s := range servers {
			if unfinished || s.used || len(words) > 0 {
				words = append(words, s.limitWords()...)
			}
			if v.WaitsFor == "" {
				v.WaitsFor, v.WaitsUntil = s.WaitsFor, s.WaitsUntil
			}
		}
		switch {
		case v.WaitsUntil != nil:
			words = append(words, "waits: "+v.WaitsFor)
		case v.WaitsFor != "" && (unfinished || now.Sub(was.Found) <= foundMost):
			words = append(words, "at the end of the last run: "+v.WaitsFor)
		}
		if len(words) == 0 {
			continue
		}
		lines = append(lines, text.Visible(label(was.Name, campaigns))+": "+text.Visible(strings.Join(unique(words), "; ")))
	}
	return lines
}

// asking are what the unfinished campaigns say of a server, if they say what is wanted; where none does, the last one of the others.
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

// label is a server's name for a person: the one that the campaign file gives it comes first.
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

// unique leaves out what comes again.
func unique(words []string) (all []string) {
	for _, w := range words {
		if !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	return all
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
