package plan

import (
	"context"
	"strings"
	"time"

	"mailblast/campaign"
	"mailblast/sender"
	"mailblast/sender/pace"
	"mailblast/store"
)

// routes are what a run sends over: the campaign's servers, with what is known about each.
func (p *Plan) routes(ctx context.Context, q store.Queue) (all []sender.Route, err error) {
	f := p.File
	for i := range f.Servers {
		to := &f.Servers[i]
		was, err := q.Server(ctx, to.Account())
		if err != nil {
			return nil, err
		}
		if time.Since(was.Found) > KnownFor {
			was.Rate, was.Connections = 0, 0
		}
		all = append(all, sender.Route{
			Name: to.Name, Transport: p.transports[i], Weight: to.Weight,
			Connections: to.Connections, MessagesPerConnection: to.MessagesPerConnection,
			Limits: reserver{q, was.Name, "", allowance(to.Limits)}, Rate: was.Rate, Window: was.Connections,
			Learned: func(ctx context.Context, found sender.RouteStats) error {
				return q.SaveServer(ctx, learned(was, found, &f.Delivery))
			},
		})
	}
	return all, nil
}

// learned returns what is known about a server during a run, or after it. That it is not the time of the campaign says
// nothing of the server: the reason why the server waits stays as it was, unless it has taken messages since.
func learned(was store.ServerState, found sender.RouteStats, of *campaign.Delivery) store.ServerState {
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

// ownTime reports whether a run stopped because it is not the time of the campaign.
func ownTime(of *campaign.Delivery, stopped *sender.StopError) bool {
	open, next := of.Open(time.Now())
	return !open && stopped.Until.Sub(next).Abs() < time.Second
}

func storeRate(r campaign.Rate) store.Rate { return store.Rate{N: r.N, Per: r.Per} }

// allowance returns a campaign's limits for a server, as the queue enforces them.
func allowance(of campaign.Limits) store.Allowance {
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

// A reserver asks the queue for leave to send over a server. A campaign without limits asks as well, so that what it
// sends counts for the quotas of the others.
type reserver struct {
	limiter   store.Limiter
	server    string
	domain    string // of the recipients; "": all
	allowance store.Allowance
}

func (r reserver) Reserve(ctx context.Context, want int) (store.Grant, error) {
	return r.limiter.Reserve(ctx, r.server, r.domain, r.allowance, want, time.Now())
}

func (r reserver) Return(ctx context.Context, u store.Unsent) error {
	return r.limiter.Return(ctx, r.server, r.domain, r.allowance, u)
}

// domainLimits returns the rates for recipients' domains. They hold over all servers together, and are shared by
// everybody who sends over the first one.
func domainLimits(l store.Limiter, f *campaign.File) func(string) pace.Reserver {
	if len(f.Limits.PerDomain) == 0 {
		return nil
	}
	return func(domain string) pace.Reserver {
		r, ok := f.Limits.RateFor(domain)
		if !ok {
			return nil
		}
		return reserver{l, f.Servers[0].Account(), strings.ToLower(domain), store.Allowance{Rates: []store.Rate{storeRate(r)}}}
	}
}

// KnownFor is how long what was found out about a server is taken for true.
const KnownFor = 30 * 24 * time.Hour
