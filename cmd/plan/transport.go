package plan

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
	"mailblast/sender/smtp"
)

// Connect prepares the sessions with each of the campaign's servers. It dials nobody.
func (p *Plan) Connect() error {
	p.transports = nil
	var findings finding.Findings
	for i := range p.File.Servers {
		t, err := p.transport(&p.File.Servers[i])
		var found finding.Finding
		switch {
		case errors.As(err, &found):
			findings = append(findings, found)
		case err != nil:
			return err
		default:
			p.transports = append(p.transports, sender.TransportOf(t))
		}
	}
	if len(findings) > 0 {
		return findings
	}
	return nil
}

// transport opens the sessions with one server.
func (p *Plan) transport(s *campaign.Server) (*smtp.Transport, error) {
	c := smtp.Config{
		Host: s.Host, Port: s.Port, Security: smtp.Security(s.Security),
		Username: s.Username, Password: string(s.Password), Helo: s.Helo, SourceIP: s.SourceIP,
		Depth: s.Pipeline, Replies: p.replies,
		TLS: &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(0)},
	}
	if c.Helo == "" {
		c.Helo = hostName()
	}
	if c.SourceIP.IsValid() {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.SourceIP, 0)))
		if err != nil {
			found := p.File.At(s.Key("source_ip"), fmt.Sprintf("%s: connections cannot come from %v: %v", s.Key("source_ip"), c.SourceIP, errors.Unwrap(err)))
			found.Hint = "it has to be an address of this machine"
			return nil, found
		}
		l.Close()
	}
	if s.CAFile != "" {
		pem, err := p.read(s.CAFile)
		if err != nil {
			return nil, p.File.At(s.Key("ca_file"), err.Error())
		}
		c.TLS.RootCAs = x509.NewCertPool()
		if !c.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return nil, p.File.At(s.Key("ca_file"), fmt.Sprintf("there is no certificate in %s: it must be in PEM form", s.CAFile))
		}
	}
	return smtp.NewTransport(c), nil
}

// hostName returns this host's name for EHLO, or localhost where no server could accept it.
func hostName() string {
	name, err := os.Hostname()
	if err == nil {
		if a, err := address.Parse("postmaster@" + name); err == nil {
			return a.Domain
		}
	}
	return "localhost"
}
