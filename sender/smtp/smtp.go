// Package smtp carries messages to an SMTP server.
//
// A Transport dials: it connects, reads the greeting, says EHLO, starts TLS where the configuration asks for it, and
// logs in. It fails closed: a session that should be encrypted or logged in and is not never comes back.
//
// A Session takes messages by the steps of sender.Session: Offer, Ready, Send, Answer. It carries them in one of two
// ways:
//
//   - one at a time, by DATA. Where the server offers PIPELINING (RFC 2920), the envelope of the next message goes out
//     in the same flight as the end of this one, so that a message costs one round trip.
//   - several at a time, by BDAT, where the server offers CHUNKING (RFC 3030) as well and the configuration asks for
//     it: each goes out whole.
//
// Every reply is counted. A session is closed whose server says more, less or something else than it was asked for, and
// a message whose content was not complete by then was not sent.
package smtp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"mailblast/sender/reply"
)

// Security is how a connection is encrypted.
type Security string

const (
	StartTLS Security = "starttls" // required: a server that does not offer it is refused
	TLS      Security = "tls"      // from the first byte (RFC 8314)
	None     Security = "none"
)

// Config is a server and how to talk to it.
type Config struct {
	Host     string
	Port     int
	Security Security
	// TLS may carry RootCAs and a ClientSessionCache. Nothing else of it is used: the certificate is always verified.
	TLS                *tls.Config
	Username, Password string     // both or none
	Helo               string     // domain or address literal for EHLO
	SourceIP           netip.Addr // of this machine; zero: the system chooses
	Depth              int        // messages in flight at a time, where the server offers CHUNKING; 0: 1
	Timeouts           Timeouts
	Replies            *reply.Classifier // explains what the server says, and serves all transports of a run; nil: one without rules of the user's own
}

// Timeouts bound every stage. Zero fields mean the defaults, which are those of RFC 5321 section 4.5.3.2.
type Timeouts struct {
	Connect   time.Duration // name look-up and TCP, all addresses together; 30 s
	Greeting  time.Duration // greeting, EHLO, STARTTLS, TLS handshake, each step of AUTH; 5 min each
	Mail      time.Duration // 5 min
	Rcpt      time.Duration // 5 min
	DataInit  time.Duration // the 354; 2 min
	DataBlock time.Duration // each block of content written, 256 KB or a little more; 3 min
	DataDone  time.Duration // the reply to the final dot; 10 min
	Quit      time.Duration // 5 s: nothing depends on it
}

func (t Timeouts) withDefaults() Timeouts {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.Connect, 30 * time.Second}, {&t.Greeting, 5 * time.Minute}, {&t.Mail, 5 * time.Minute}, {&t.Rcpt, 5 * time.Minute},
		{&t.DataInit, 2 * time.Minute}, {&t.DataBlock, 3 * time.Minute}, {&t.DataDone, 10 * time.Minute}, {&t.Quit, 5 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return t
}

// check refuses a configuration whose sessions would be less safe than was meant.
func (c Config) check() error {
	if c.Security != StartTLS && c.Security != TLS && c.Security != None {
		return fmt.Errorf("unknown security %q: use %s, %s or %s", c.Security, StartTLS, TLS, None)
	}
	if (c.Username == "") != (c.Password == "") {
		return errors.New("user name and password go together: set both or none")
	}
	return nil
}
