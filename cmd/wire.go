package cmd

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"mailblast/campaign"
	"mailblast/campaign/finding"
	"mailblast/campaign/list/address"
	"mailblast/campaign/mail"
	"mailblast/campaign/message"
	"mailblast/sender"
	"mailblast/sender/reply"
	"mailblast/sender/smtp"
	"mailblast/store"
)

// composeFor makes the compiled message what the sender asks for: one Compose for each goroutine.
func composeFor(m *message.Compiled) func() sender.Compose {
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

// A Transport dials one of a campaign's servers.
type Transport struct {
	Config smtp.Config
	gate   *gate // nil: none
}

// A gate lets only a few through until it is opened. All connections of a run begin at the same moment: the first show whether the
// server can be used and the password is right, which a server may count, and they bring the TLS session that the others resume.
type gate struct {
	places chan struct{}
	opened chan struct{}
	open   func()
}

func newGate(places int) *gate {
	g := &gate{places: make(chan struct{}, places), opened: make(chan struct{})}
	g.open = sync.OnceFunc(func() { close(g.opened) })
	return g
}

const (
	dialsAtFirst = 2               // one may be stuck
	gatePatience = 5 * time.Second // both may
)

// pass calls dial when there is a place. Whatever comes of it but a refusal that a person has to mend opens the gate.
func (g *gate) pass(ctx context.Context, dial func() error) error {
	if g == nil {
		return dial()
	}
	select {
	case <-g.opened:
		return dial()
	default:
	}
	select {
	case <-g.opened:
		return dial()
	case <-time.After(gatePatience):
		return dial()
	case g.places <- struct{}{}:
		defer func() { <-g.places }()
	case <-ctx.Done():
		return &reply.Error{Stage: reply.Connect, Err: context.Cause(ctx)}
	}
	err := dial()
	var refused *reply.Error
	if !errors.As(err, &refused) || !refused.Final {
		g.open()
	}
	return err
}

// transportsFor reads what the sessions with each of the campaign's servers need; read gets the file of a certificate authority.
func transportsFor(f *campaign.File, read func(string) ([]byte, error)) ([]Transport, error) {
	var all []Transport
	var findings finding.Findings
	for i := range f.Servers {
		t, err := transportFor(f, &f.Servers[i], read)
		var found finding.Finding
		if errors.As(err, &found) {
			findings = append(findings, found)
		} else if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	if len(findings) > 0 {
		return nil, findings
	}
	return all, nil
}

// transportFor is that of one server.
func transportFor(f *campaign.File, s *campaign.Server, read func(string) ([]byte, error)) (Transport, error) {
	c := smtp.Config{
		Host: s.Host, Port: s.Port, Security: smtp.Security(s.Security),
		Username: s.Username, Password: string(s.Password), Helo: s.Helo, SourceIP: s.SourceIP,
		Replies: classifierFor(f),
		TLS:     &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(0)},
	}
	if c.Helo == "" {
		c.Helo = hostName()
	}
	if c.SourceIP.IsValid() {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.SourceIP, 0)))
		if err != nil {
			found := f.At(s.Key("source_ip"), fmt.Sprintf("%s: connections cannot come from %v: %v", s.Key("source_ip"), c.SourceIP, errors.Unwrap(err)))
			found.Hint = "it has to be an address of this machine"
			return Transport{}, found
		}
		l.Close()
	}
	if s.CAFile != "" {
		pem, err := read(s.CAFile)
		if err != nil {
			return Transport{}, f.At(s.Key("ca_file"), err.Error())
		}
		c.TLS.RootCAs = x509.NewCertPool()
		if !c.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return Transport{}, f.At(s.Key("ca_file"), fmt.Sprintf("there is no certificate in %s: it must be in PEM form", s.CAFile))
		}
	}
	t := Transport{Config: c}
	if c.Security != smtp.None || c.Username != "" { // else there is nothing to wait for
		t.gate = newGate(dialsAtFirst)
	}
	return t, nil
}

// classifierFor knows the campaign's own rules for replies.
func classifierFor(f *campaign.File) *reply.Classifier {
	own := make([]reply.OwnRule, len(f.Rules))
	for i, r := range f.Rules {
		own[i] = reply.OwnRule{Name: fmt.Sprintf("rules[%d]", i), Match: r.Match, Class: reply.Class(r.Class)}
	}
	return reply.NewClassifier(own)
}

// hostName is this host's name for EHLO, as far as it is one that a server could accept.
func hostName() string {
	name, err := os.Hostname()
	if err == nil {
		if a, err := address.Parse("postmaster@" + name); err == nil {
			return a.Domain
		}
	}
	return "localhost"
}

// Dial opens a session.
func (t Transport) Dial(ctx context.Context) (sender.Session, error) {
	var s *smtp.Session
	if err := t.gate.pass(ctx, func() (err error) { s, err = smtp.Dial(ctx, t.Config); return err }); err != nil {
		return nil, err
	}
	return session{s}, nil
}

// session speaks in the sender's messages.
type session struct{ *smtp.Session }

func envelope(m *mail.Message) *smtp.Envelope {
	if m == nil {
		return nil
	}
	return &smtp.Envelope{From: m.From, To: m.To, UTF8: m.UTF8, Size: m.Size}
}

func (s session) Offer(m *mail.Message) { s.Session.Offer(*envelope(m)) }

func (s session) Send(m, next *mail.Message) (bool, error) {
	return s.Session.Send(m.Content, envelope(next))
}

func (s session) Push(m *mail.Message) error { return s.Session.Push(*envelope(m), m.Content) }

// drainOptions are the flags that send and resume share.
type drainOptions struct {
	maxRuntime time.Duration
	limit      int
	wait       time.Duration
}

// bounded is ctx for at most as long as --max-runtime says.
func (o drainOptions) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if o.maxRuntime == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, o.maxRuntime, fmt.Errorf("--max-runtime %v is over", o.maxRuntime))
}

// drain sends what is due of a loaded campaign, shows how it goes, and says what is left. The error, if any, carries
// the exit code.
func (a *app) drain(ctx context.Context, s store.Queue, lease store.Lease, f *campaign.File, m *message.Compiled, ts []Transport, name string, o drainOptions) error {
	c, err := s.Campaign(ctx, name)
	if err != nil {
		return err
	}
	ctx, cancel := untilExpiry(ctx, f, c.Created)
	defer cancel()
	counts := c.Counts
	servers, err := serversFor(context.WithoutCancel(ctx), s, f, ts)
	if err != nil {
		return err
	}
	work, end := withGrace(a.work, ctx)
	defer end()
	goal := counts.Pending()
	if o.limit > 0 {
		goal = min(goal, int64(o.limit))
	}
	stats := &sender.Stats{}
	p := a.newProgress(name, goal, stats)
	start := time.Now()
	queue, servers := a.crash.between(lease, servers)
	stopped := sender.Run(work, ctx, queue, servers, sender.Options{
		Batch: f.Delivery.Batch, Attempts: f.Delivery.Attempts, BackoffMin: f.Delivery.BackoffMin, BackoffMax: f.Delivery.BackoffMax,
		PerDomain: f.Limits.PerDomainConnections, DomainLimits: domainLimits(s, f),
		Open: f.Delivery.Open, Wait: o.wait, Limit: o.limit, Compose: composeFor(m), Replies: classifierFor(f), Log: p.log, Stats: stats,
	})
	p.stop()
	plain := context.WithoutCancel(ctx)
	var early *sender.StopError
	errors.As(stopped, &early)
	for i, found := range stats.Servers {
		if err := servers[i].Learned(work, found); err != nil {
			p.log.Warn("what was found out about the server could not be written down", "server", found.Name, "error", err)
		}
	}
	if errors.Is(context.Cause(ctx), errExpired) {
		if err := lease.Expire(plain); err != nil {
			return errors.Join(stopped, err)
		}
	}
	finishErr := lease.Finish(work) // waits for whoever holds the queue, but not for ever
	counts, due, err := lease.Pending(plain)
	if err != nil {
		return errors.Join(stopped, err)
	}
	if early != nil && early.Until.After(due) {
		due = early.Until
	}
	a.summary(p, name, stats, counts, due, time.Since(start), stopped)
	switch {
	case stopped != nil && early == nil:
		return stopped
	case finishErr != nil:
		return finishErr
	case counts.Pending() > 0 && stopped != nil && !(a.quiet && (early.Err == nil || ctx.Err() != nil)):
		return &exit{exitUnfinished, stopped} // --quiet: a limit or a signal is no news to whoever set it
	case counts.Pending() > 0:
		return &exit{code: exitUnfinished}
	case counts.Failed+counts.InDoubt > 0:
		return &exit{code: exitFailures}
	}
	return nil
}

// unset stands for a variable that is not set, in a file of parseWithoutSecrets.
const unset = "variable-not-set"

// parseWithoutSecrets reads a campaign file where the secrets of the campaign may not be at hand: a variable that is missing is no fault.
func parseWithoutSecrets(path string, source []byte) (*campaign.File, error) {
	f, err := campaign.Parse(path, source, os.LookupEnv)
	if err == nil {
		return f, nil
	}
	anything := func(name string) (string, bool) {
		v, ok := os.LookupEnv(name)
		if !ok && bytes.Contains(source, []byte("${"+name+"}")) { // it has no default
			v, ok = unset, true
		}
		return v, ok
	}
	if lenient, again := campaign.Parse(path, source, anything); again == nil {
		return lenient, nil
	}
	return nil, err
}
