package cmd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"mailblast/campaign"
	"mailblast/campaign/finding"
	"mailblast/campaign/list/address"
	"mailblast/sender"
	"mailblast/sender/reply"
	"mailblast/sender/smtp"
)

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
		} else {
			all = append(all, sender.TransportOf(t))
		}
	}
	if len(findings) > 0 {
		return nil, findings
	}
	return all, nil
}

// transportFor is that of one server.
func transportFor(f *campaign.File, s *campaign.Server, replies *reply.Classifier, read func(string) ([]byte, error)) (*smtp.Transport, error) {
	c := smtp.Config{
		Host: s.Host, Port: s.Port, Security: smtp.Security(s.Security),
		Username: s.Username, Password: string(s.Password), Helo: s.Helo, SourceIP: s.SourceIP,
		Depth: s.Pipeline, Replies: replies,
		TLS: &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(0)},
	}
	if c.Helo == "" {
		c.Helo = hostName()
	}
	if c.SourceIP.IsValid() {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.SourceIP, 0)))
		if err != nil {
			found := f.At(s.Key("source_ip"), fmt.Sprintf("%s: connections cannot come from %v: %v", s.Key("source_ip"), c.SourceIP, errors.Unwrap(err)))
			found.Hint = "it has to be an address of this machine"
			return nil, found
		}
		l.Close()
	}
	if s.CAFile != "" {
		pem, err := read(s.CAFile)
		if err != nil {
			return nil, f.At(s.Key("ca_file"), err.Error())
		}
		c.TLS.RootCAs = x509.NewCertPool()
		if !c.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return nil, f.At(s.Key("ca_file"), fmt.Sprintf("there is no certificate in %s: it must be in PEM form", s.CAFile))
		}
	}
	return smtp.NewTransport(c), nil
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
