package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailblast/sender/sink"
)

// A server whose certificate expires in the middle of a campaign: the run stops and says why, and nothing is lost.
func TestCertificateExpires(t *testing.T) {
	t.Parallel()
	authority := sign(t, x509.Certificate{IsCA: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	good := sign(t, x509.Certificate{DNSNames: []string{"localhost"}}, authority)
	expired := sign(t, x509.Certificate{DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(-time.Minute)}, authority)
	var handshakes atomic.Int64
	var mended atomic.Bool
	port, w := startSink(t, sink.Options{Security: sink.StartTLS, TLS: &tls.Config{
		SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if handshakes.Add(1) > 4 && !mended.Load() {
				return expired, nil
			}
			return good, nil
		},
	}})
	s := newSite(t, port)
	recipients := s.small(60, 10, "host: localhost, port: ${SMTP_PORT}, security: starttls, ca_file: ca.pem, connections: 2, messages_per_connection: 5")
	s.write(map[string]string{"ca.pem": encodePEM(authority)})
	p := s.process("send", "small.yaml")
	p.start()
	code, said := p.end()
	if code != 4 || !strings.Contains(said, "expired") || !strings.Contains(said, "needs a new certificate") {
		t.Errorf("exit code %d", code)
	}
	if n := w.count(); n == 0 || n > 20 {
		t.Errorf("%d were sent to", n)
	}
	mended.Store(true)
	if code := s.run("resume"); code != 0 {
		t.Errorf("resume: exit code %d", code)
	}
	s.judgeSettled(w, recipients)
}

// A certificate can be made out to anything.
func TestHostileCertificate(t *testing.T) {
	t.Parallel()
	const evil = "x\x1b[2J\x07.example"
	certificate := sign(t, x509.Certificate{Subject: pkix.Name{CommonName: evil + "\u202e", Organization: []string{evil}}, DNSNames: []string{evil}, IsCA: true}, nil)
	server := &rogue{greeting: "220 hello", reply: func(string, []string) string { return "" }, tls: &tls.Config{Certificates: []tls.Certificate{*certificate}}}
	s := newSite(t, server.start(t))
	s.write(map[string]string{"ca.pem": encodePEM(certificate),
		"tls.yaml": "name: tls\nfrom: a@example.com\nsubject: x\nrecipients: recipients.csv\nhtml: newsletter.html\npartials: [footer.html]\ninline: [logo.png]\n" +
			"smtp: {host: localhost, port: '${SMTP_PORT}', security: tls, ca_file: ca.pem}\n"})
	for _, args := range [][]string{{"send", "tls.yaml", "--wait", "0s"}, {"resume", "--wait", "0s", "--log-format", "json"}, {"report"}} {
		code, out := s.output(args...)
		checkCalm(t, fmt.Sprintf("%q", args), out)
		if args[0] == "send" && (code != 4 || !bytes.Contains(out, []byte("certificate"))) {
			t.Errorf("exit code %d:\n%s", code, out)
		}
	}
}

// sign makes a certificate, signed by an authority's or, without one, by itself. It is valid from an hour ago, and for
// an hour unless it says until when.
func sign(t *testing.T, template x509.Certificate, authority *tls.Certificate) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.BasicConstraintsValid = big.NewInt(1), true
	template.NotBefore = time.Now().Add(-time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	parent, signer := &template, any(key)
	if authority != nil {
		parent, signer = authority.Leaf, authority.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func encodePEM(c *tls.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}))
}
