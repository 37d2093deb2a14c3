package plan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mailblast/campaign/list/address"
	"mailblast/campaign/mail"
	"mailblast/campaign/message"
	"mailblast/sender"
	"mailblast/store"
)

// A Run is one drain of a campaign.
type Run struct {
	Plan    *Plan
	Created time.Time    // the campaign, in the queue
	Pending int64        // recipients who have no end state when it begins
	Stats   sender.Stats // of this run, kept up to date while it drains

	queue  store.Queue
	lease  store.Lease
	routes []sender.Route
	log    *slog.Logger
}

// Run prepares a run of a loaded campaign.
func (p *Plan) Run(ctx context.Context, q store.Queue, lease store.Lease) (*Run, error) {
	c, err := q.Campaign(ctx, p.File.Name)
	if err != nil {
		return nil, err
	}
	r := &Run{Plan: p, Created: c.Created, Pending: c.Counts.Pending(), queue: q, lease: lease}
	r.routes, err = p.routes(context.WithoutCancel(ctx), q)
	return r, err
}

// ErrExpired ends a run when the campaign's delivery.expires has come.
var ErrExpired = errors.New("the campaign has expired (delivery.expires)")

// UntilExpiry is ctx for as long as the campaign's messages are of any use.
func (r *Run) UntilExpiry(ctx context.Context) (context.Context, context.CancelFunc) {
	at := r.Plan.File.Delivery.Expires.For(r.Created)
	if at.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadlineCause(ctx, at, ErrExpired)
}

// DrainOptions bound a run.
type DrainOptions struct {
	Limit int           // messages to try; 0: no bound
	Wait  time.Duration // for recipients that are due later
	Log   *slog.Logger
}

// Drain sends what is due; work and claim are those of sender.Run, and so is the error.
func (r *Run) Drain(work, claim context.Context, o DrainOptions) error {
	r.log = o.Log
	f := r.Plan.File
	queue, routes := crash.between(r.lease, r.routes)
	return sender.Run(work, claim, queue, routes, sender.Options{
		Batch: f.Delivery.Batch, Attempts: f.Delivery.Attempts, BackoffMin: f.Delivery.BackoffMin, BackoffMax: f.Delivery.BackoffMax,
		PerDomain: f.Limits.PerDomainConnections, DomainLimits: domainLimits(r.queue, f),
		Open: f.Delivery.Open, Wait: o.Wait, Limit: o.Limit, Compose: compose(r.Plan.message), Log: o.Log, Stats: &r.Stats,
	})
}

// A Rest is what a run left.
type Rest struct {
	Counts   store.Counts
	Due      time.Time // when it is worth while to go on; zero: at once, or nothing is queued
	Unmarked error     // why the queue could not be told that the run is over
}

// Finish writes down what Drain found out, stopped being its error, and says what is left.
func (r *Run) Finish(work, claim context.Context, stopped error) (rest Rest, err error) {
	for i, found := range r.Stats.Routes {
		if err := r.routes[i].Learned(work, found); err != nil {
			r.log.Warn("what was found out about the server could not be written down", "server", found.Name, "error", err)
		}
	}
	plain := context.WithoutCancel(claim)
	if errors.Is(context.Cause(claim), ErrExpired) {
		if err := r.lease.Expire(plain); err != nil {
			return rest, err
		}
	}
	rest.Unmarked = r.lease.Finish(work) // waits for whoever holds the queue, but not for ever
	if rest.Counts, rest.Due, err = r.lease.Pending(plain); err != nil {
		return rest, err
	}
	var early *sender.StopError
	if errors.As(stopped, &early) && early.Until.After(rest.Due) {
		rest.Due = early.Until
	}
	return rest, nil
}

// compose makes the compiled message what the sender asks for: one Compose for each goroutine.
func compose(m *message.Compiled) func() sender.Compose {
	return func() sender.Compose {
		composer := m.Composer()
		var values []string
		return func(j store.Job) (mail.Message, error) {
			to, err := address.Parse(j.Address)
			if err != nil {
				return mail.Message{}, fmt.Errorf("address %q in the queue: %w", j.Address, err)
			}
			if values, err = store.DecodeFields(values, j.Fields); err != nil {
				return mail.Message{}, fmt.Errorf("fields of %s in the queue: %w", j.Address, err)
			}
			return composer.Compose(message.Recipient{Address: to, Values: values, MessageID: j.MessageID, Date: time.Now()})
		}
	}
}
