package cmd

import (
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
	"mailblast/sender"
	"mailblast/sender/reply"
	"mailblast/sender/smtp"
)

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
func transportsFor(f *campaign.File, replies *reply.Classifier, read func(string) ([]byte, error)) ([]sender.Transport, error) {
	var all []sender.Transport
	var findings finding.Findings
	for i := range f.Servers {
		t, err := transportFor(f, &f.Servers[i], replies, read)
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
func transportFor(f *campaign.File, s *campaign.Server, replies *reply.Classifier, read func(string) ([]byte, error)) (Transport, error) {
	c := smtp.Config{
		Host: s.Host, Port: s.Port, Security: smtp.Security(s.Security),
		Username: s.Username, Password: string(s.Password), Helo: s.Helo, SourceIP: s.SourceIP,
		Replies: replies,
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
