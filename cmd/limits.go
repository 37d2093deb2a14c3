package cmd

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"mailblast/campaign"
	"mailblast/sender"
	"mailblast/sender/pace"
	"mailblast/store"
)

// hostPort is the name of a server that the campaign file gives none.
func hostPort(s *campaign.Server) string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// serversFor are a campaign's servers for the sender, with what is known about each.
func serversFor(ctx context.Context, s store.Queue, f *campaign.File, ts []Transport) (all []sender.Server, err error) {
	for i := range f.Servers {
		to := &f.Servers[i]
		was, err := s.Server(ctx, to.Account())
		if err != nil {
			return nil, err
		}
		if time.Since(was.Found) > foundMost {
			was.Rate, was.Connections = 0, 0
		}
		all = append(all, sender.Server{
			Name: to.Name, Transport: ts[i], Weight: to.Weight,
			Connections: to.Connections, MessagesPerConnection: to.MessagesPerConnection, Pipeline: to.Pipeline,
			Limits: serverLimits{s, was.Name, "", limitsOf(to.Limits)}, Rate: was.Rate, Window: was.Connections,
			Learned: func(ctx context.Context, found sender.ServerStats) error {
				return s.SaveServer(ctx, learned(was, found, &f.Delivery))
			},
		})
	}
	return all, nil
}

// learned is what is known about a server in a run, or after it. That the campaign is outside of its time says nothing of the server: why
// that waits is then still what it was, unless it has taken messages since.
func learned(was store.ServerState, found sender.ServerStats, of *campaign.Delivery) store.ServerState {
	was.Rate, was.Connections = found.Rate, found.Window
	if found.Sent > 0 && was.First.IsZero() {
		was.First = time.Now()
	}
	switch out := found.Out; {
	case out != nil && !ownTime(of, out):
		was.WaitsFor, was.WaitsUntil = out.Error(), out.Until
	case out == nil || found.Sent > 0:
		was.WaitsFor, was.WaitsUntil = "", time.Time{}
	}
	return was
}

// ownTime reports whether a run stopped since it is not the time of the campaign.
func ownTime(of *campaign.Delivery, stopped *sender.StopError) bool {
	open, next := of.Open(time.Now())
	return !open && stopped.Until.Sub(next).Abs() < time.Second
}

func storeRate(r campaign.Rate) store.Rate { return store.Rate{N: r.N, Per: r.Per} }

// limitsOf are a campaign's limits for a server.
func limitsOf(of campaign.Limits) store.Allowance {
	var l store.Allowance
	for _, r := range of.Rates {
		l.Rates = append(l.Rates, storeRate(r))
	}
	for _, q := range of.Quotas {
		l.Quotas = append(l.Quotas, storeRate(q))
	}
	if w := of.Warmup; w != nil {
		l.Warmup = func(day int) (store.Rate, bool) {
			q, ok := w.Quota(day)
			return storeRate(q), ok
		}
	}
	return l
}

// serverLimits gives the sender leave to send. A campaign without limits asks as well, so that what it sends counts for the quotas of
// the others.
type serverLimits struct {
	store  store.Queue
	server string
	domain string // of the recipients; "": all
	limits store.Allowance
}

func (l serverLimits) Reserve(ctx context.Context, want int) (store.Grant, error) {
	return l.store.Reserve(ctx, l.server, l.domain, l.limits, want, time.Now())
}

func (l serverLimits) Return(ctx context.Context, u store.Unsent) error {
	return l.store.Return(ctx, l.server, l.domain, l.limits, u)
}

// domainLimits are the rates for recipients' domains, over all servers together, shared by everybody who sends over the first one.
func domainLimits(s store.Queue, f *campaign.File) func(string) pace.Reserver {
	if len(f.Limits.PerDomain) == 0 {
		return nil
	}
	return func(domain string) pace.Reserver {
		r, ok := f.Limits.RateFor(domain)
		if !ok {
			return nil
		}
		return serverLimits{s, f.Servers[0].Account(), strings.ToLower(domain), store.Allowance{Rates: []store.Rate{storeRate(r)}}}
	}
}

// foundMost is how long what was found out about a server is taken for true.
const foundMost = 30 * 24 * time.Hour

// errExpired ends a run when the campaign's delivery.expires has come.
var errExpired = errors.New("the campaign has expired (delivery.expires)")

// untilExpiry is ctx for as long as the campaign's messages are of any use.
func untilExpiry(ctx context.Context, f *campaign.File, loaded time.Time) (context.Context, context.CancelFunc) {
	at := f.Delivery.Expires.For(loaded)
	if at.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadlineCause(ctx, at, errExpired)
}

// deliverable says why nothing of a campaign could be sent, before it is loaded.
func deliverable(ctx context.Context, s store.Queue, f *campaign.File) error {
	now := time.Now()
	loaded := now
	c, err := s.Campaign(ctx, f.Name)
	switch {
	case err == nil:
		loaded = c.Created
	case !errors.Is(err, store.ErrNoCampaign):
		return err
	}
	return f.Deliverable(loaded, now)
}
