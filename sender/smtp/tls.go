package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailblast/campaign/text"
	"mailblast/sender/reply"
)

// startTLS turns the connection into an encrypted one whose certificate was verified for the host's name.
func (s *Session) startTLS(ctx context.Context, c Config) error {
	config := &tls.Config{ServerName: c.Host, MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		config.RootCAs, config.ClientSessionCache = c.TLS.RootCAs, c.TLS.ClientSessionCache
	}
	stage := reply.StartTLS
	if c.Security == TLS {
		stage = reply.Connect
	}
	s.conn.SetDeadline(time.Time{}) // that of the last command may be almost over
	conn := tls.Client(s.conn, config)
	ctx, cancel := context.WithTimeout(ctx, s.timeouts.Greeting)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		final, hint := explainTLS(err, c)
		err = fmt.Errorf("TLS handshake: %w", printable{err})
		if final {
			return reply.Unusable(stage, err, hint)
		}
		return withHint(reply.Broken(stage, err), hint)
	}
	s.conn = conn
	s.r = bufio.NewReaderSize(conn, readBuffer)
	return nil
}

// explainTLS says what a person can do about a handshake that failed, and whether trying again is useless before that.
func explainTLS(err error, c Config) (final bool, hint string) {
	var verify *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	switch {
	case errors.As(err, &verify):
		return true, explainCertificate(err, c)
	case errors.As(err, &header) && c.Security == TLS:
		return true, "this port does not speak TLS: usual are smtp.security starttls on port 587 and tls on port 465"
	case errors.As(err, &header):
		return true, "the server agreed to STARTTLS and went on in plain text: it is set up wrongly, or somebody may be tampering with the connection"
	case strings.Contains(err.Error(), "protocol version"): // crypto/tls has no type for it
		return true, "the server knows only versions of TLS that are no longer safe: it has to be updated to TLS 1.2 or newer"
	}
	return false, ""
}

func explainCertificate(err error, c Config) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &authority):
		return "if the server has a certificate of a private authority, name that authority's certificate in smtp.ca_file"
	case errors.As(err, &name):
		return fmt.Sprintf("set smtp.host to a name that the certificate is made for; %q is not", c.Host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the server needs a new certificate, or this machine's clock is wrong"
	}
	return "the server's certificate cannot be trusted"
}

// A printable is an error of TLS with a text that is fit for a terminal. The error repeats the names in a certificate,
// and these are whatever its maker wrote, also when nobody trusts the certificate.
type printable struct{ err error }

func (e printable) Unwrap() error { return e.err }

func (e printable) Error() string {
	const most = 400 // octets; a certificate may hold thousands of names
	return text.Visible(text.Short(e.err.Error(), most))
}
