package plan

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailblast/campaign"
	"mailblast/store"
)

// An Outlook is what the campaign file, and what is known about the servers, say of a campaign in the queue.
type Outlook struct {
	Servers []Server // without those whose host or user is in a variable that is not set

	// For a campaign of which recipients are queued:
	Due        time.Time // when there is something to send again; zero: now
	WaitsFor   string    // why nothing of it may be sent now, by its send_window or not_before; "": it may
	WaitsUntil time.Time
}

// A Server is one of a campaign's servers.
type Server struct {
	Known

	Account   string // which its limits are kept under
	Name      string // in the campaign file, or host and port
	Named     bool   // the campaign file gives it a name
	Host      string
	Port      int
	Username  string
	SourceIP  netip.Addr
	Limits    []string // the campaign's rates
	Quotas    []Quota  // the campaign's, and that of the warm-up's day
	WarmupDay int      // from 1; 0: there is no warm-up, or it is over
	PartUsed  bool     // of the campaign's limits
}

// A Quota is what is left of one.
type Quota struct {
	Quota string
	Left  int
	Again time.Time // zero: there is something left
}

// Known is what was found out about a server. What it waits for is the same for all campaigns that send over it.
type Known struct {
	Rate        float64   // messages a second; 0: no limit was found
	Connections int       // 0: no limit was found
	WaitsFor    string    // why nothing is sent over it; "": it does not wait
	WaitsUntil  time.Time // zero: nobody knows, or it does not wait
}

// KnownOf is what was found out about a server, for as long as it is taken for true.
func KnownOf(was store.ServerState, now time.Time) (k Known) {
	if now.Sub(was.Found) <= KnownFor {
		k.Rate, k.Connections = was.Rate, was.Connections
	}
	if was.WaitsUntil.IsZero() || was.WaitsUntil.After(now) {
		k.WaitsFor, k.WaitsUntil = was.WaitsFor, was.WaitsUntil
	}
	return k
}

// LookAhead says what comes of a campaign, given what is known about the servers of the queue. It returns nil when the
// campaign file was purged, or cannot be read here, as the variable of a port is not set.
func LookAhead(ctx context.Context, q store.Queue, c store.Campaign, known []store.ServerState, now time.Time) (*Outlook, error) {
	source, err := q.Source(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	f, err := parseWithoutSecrets(c.Path, source)
	if err != nil {
		return nil, nil
	}
	o := &Outlook{}
	for i := range f.Servers {
		s := &f.Servers[i]
		if s.Host == unset || s.Username == unset {
			continue
		}
		v, err := lookAt(ctx, q, s, c.Updated, known, now)
		if err != nil {
			return nil, err
		}
		o.Servers = append(o.Servers, v)
	}
	o.schedule(f, c, now)
	return o, nil
}

// schedule says when the campaign goes on.
func (o *Outlook) schedule(f *campaign.File, c store.Campaign, now time.Time) {
	due := c.NextDue
	if due.Before(now) {
		due = now
	}
	if again := o.quotasAgain(); again.After(due) {
		due = again
	}
	if open, next := f.Delivery.Open(due); !open {
		due = next
	}
	end := f.Delivery.Expires.For(c.Created)
	if !end.IsZero() && end.Before(due) {
		due = end // then the next run writes down that they have expired
	}
	if open, next := f.Delivery.Open(now); !open && (end.IsZero() || now.Before(end)) {
		o.WaitsFor, o.WaitsUntil = shutWords(&f.Delivery, now, next), next
	}
	if due.After(now) {
		o.Due = due
	}
}

// quotasAgain is when one of the servers has something left of all of its quotas; zero: one has, as far as is known.
func (o *Outlook) quotasAgain() (first time.Time) {
	for _, v := range o.Servers {
		var again time.Time
		for _, q := range v.Quotas {
			if q.Again.After(again) {
				again = q.Again
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

// lookAt is what there is to say of a server of a campaign that was updated then.
func lookAt(ctx context.Context, q store.Limiter, s *campaign.Server, updated time.Time, known []store.ServerState, now time.Time) (Server, error) {
	account := s.Account()
	var was store.ServerState
	if at := slices.IndexFunc(known, func(k store.ServerState) bool { return k.Name == account }); at >= 0 {
		was = known[at]
	}
	v := Server{
		Known: KnownOf(was, now), Account: account,
		Name: s.Name, Named: s.Name != net.JoinHostPort(s.Host, strconv.Itoa(s.Port)),
		Host: s.Host, Port: s.Port, Username: s.Username, SourceIP: s.SourceIP,
	}
	for _, r := range s.Limits.Rates {
		v.Limits = append(v.Limits, r.String())
		v.PartUsed = v.PartUsed || r.Per >= time.Hour && now.Sub(updated) < r.Per
	}
	quotas := s.Limits.Quotas
	if w := s.Limits.Warmup; w != nil {
		day := 0
		if !was.First.IsZero() {
			day = int(now.Sub(was.First) / (24 * time.Hour))
		}
		if quota, ok := w.Quota(day); ok {
			v.WarmupDay = day + 1
			quotas = append(quotas[:len(quotas):len(quotas)], quota)
		}
	}
	for _, quota := range quotas {
		left, again, err := q.Left(ctx, account, storeRate(quota), now)
		if err != nil {
			return v, err
		}
		v.Quotas = append(v.Quotas, Quota{quota.String(), max(left, 0), again})
		v.PartUsed = v.PartUsed || left < quota.N
		if until := v.WaitsUntil; !again.IsZero() && (v.WaitsFor == "" || !until.IsZero() && until.Before(again.Add(-time.Second))) {
			v.WaitsFor, v.WaitsUntil = fmt.Sprintf("the quota of %s is used up; it goes on at %s", quota, moment(again)), again
		}
	}
	return v, nil
}

// shutWords say why it is not the time of a campaign.
func shutWords(d *campaign.Delivery, now, next time.Time) string {
	why := "its not_before has not come"
	if !now.Before(d.NotBefore) {
		var windows []string
		for _, w := range d.Windows {
			windows = append(windows, w.String())
		}
		why = "it is outside of its send_window, " + strings.Join(windows, ", ")
	}
	return why + "; it goes on at " + moment(next)
}

// moment is how a person is told when something goes on.
func moment(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }
