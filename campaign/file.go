// Package campaign is the campaign file: what is sent, over which servers, within which limits, and when.
//
// Parse reads the YAML (syntax.go) and walks its nodes along the table of all keys (schema.go, parse.go, nodes.go). It
// expands the ${VARIABLES} of each value (expand.go) and checks the value with a function of its own (values.go, limits.go,
// window.go, order.go). Then it checks what depends on several keys and fills in the defaults. It reports everything that
// is wrong with the file at once, each finding with its position.
//
// The package campaign/list reads the recipients, and campaign/message makes the messages. The campaign file knows neither
// of them; of the list it imports the addresses only.
package campaign

import (
	"net/netip"
	"regexp"
	"strings"
	"time"

	"mailblast/campaign/finding"
	"mailblast/campaign/list/address"
)

// A File is a campaign file after its ${VARIABLES} were expanded and the defaults filled in. Paths are as written, relative
// to the folder of the campaign file. Printing a File shows no password.
type File struct {
	Name        string
	From        Mailbox
	ReplyTo     Mailbox         // zero: no Reply-To header
	ReturnPath  address.Address // envelope sender (RFC 5321 MAIL FROM); default: the address in From
	Subject     string          // a text/template
	Recipients  string          // "-" is standard input
	OrderBy     Order
	Priority    int    // of two unfinished campaigns, the one with the higher priority is resumed first
	HTML        string // a template (text/template with values escaped for their place); at most one of HTML and Markdown
	Markdown    string
	Text        string // text/template; made from the HTML when absent
	Partials    []string
	Attachments []string
	Inline      []string
	Headers     []Header // in the order of the file; values are text/templates
	Servers     []Server // those of servers:, or the one of smtp:
	Limits      Limits   // with several servers only what concerns domains; the rest is in each Server
	Delivery    Delivery
	Rules       []Rule

	Path string // what the file is called in findings

	Warnings finding.Findings // what may not be as it was meant, in order of position

	positions map[string]position // of the value of each key that the file has; of a section, the position of its key
}

// defaults returns a File with the values of the keys that a campaign file leaves out. parser.checkRelations (schema.go)
// fills in those that depend on other keys: the port, the return path.
func defaults() *File {
	return &File{
		Delivery: Delivery{Batch: 100, Attempts: 5, BackoffMin: time.Minute, BackoffMax: 4 * time.Hour, Durability: Strict},
	}
}

// newServer returns a Server with the values of the keys that the file leaves out.
func newServer() Server {
	return Server{SMTP: SMTP{Security: StartTLS, Connections: 10, MessagesPerConnection: 1000, Pipeline: 1}}
}

// At makes a finding of a problem that shows only after the file was read. The key is written with its section: "html",
// "smtp.host", "headers.X-Campaign", "attachments[0]". For a key that the file does not have, the position is that of its
// section, or the top of the file.
func (f *File) At(key, message string) finding.Finding {
	for {
		if at, ok := f.positions[key]; ok {
			return finding.Finding{File: f.Path, Line: at.line, Column: at.column, Message: message}
		}
		cut := strings.LastIndexAny(key, ".[")
		if cut < 0 {
			return finding.Finding{File: f.Path, Line: 1, Column: 1, Message: message}
		}
		key = key[:cut]
	}
}

// A Reference is a file that the campaign file names.
type Reference struct {
	Key  string // for At: "html", "attachments[0]"
	Path string // as written
}

// Files lists every file that a snapshot of the campaign needs, each path once, in the order html, markdown, text, partials,
// attachments, inline, and the ca_file of each server. The recipients are not among them: they become rows of the queue.
func (f *File) Files() []Reference {
	var all []Reference
	seen := map[string]bool{"": true} // a key without a value names no file
	add := func(key, path string) {
		if !seen[path] {
			seen[path] = true
			all = append(all, Reference{key, path})
		}
	}
	add("html", f.HTML)
	add("markdown", f.Markdown)
	add("text", f.Text)
	for i, p := range f.Partials {
		add(item("partials", i), p)
	}
	for i, p := range f.Attachments {
		add(item("attachments", i), p)
	}
	for i, p := range f.Inline {
		add(item("inline", i), p)
	}
	for _, s := range f.Servers {
		add(s.Key("ca_file"), s.CAFile)
	}
	return all
}

// A Mailbox is an address with a display name (RFC 5322 section 3.4).
type Mailbox struct {
	Name    string
	Address address.Address
}

// A Header is one header field that the campaign file adds.
type Header struct{ Name, Value string }

// A Server is one of those over which the campaign is sent.
type Server struct {
	SMTP
	Name   string // default: host and port
	Weight int    // its share of the messages; 0 for all servers: whichever is free takes the next message
	Limits Limits

	key string
}

// Key returns the full name of one of the server's keys, for At.
func (s *Server) Key(name string) string { return join(s.key, name) }

// SMTP is a server and how to talk to it.
type SMTP struct {
	Host                  string
	Port                  int      // default 587; 465 with security: tls; 25 with none
	Security              Security // default StartTLS
	CAFile                string
	Username              string // with a password, or neither
	Password              Secret
	Helo                  string     // default: this host's name, filled in by the caller
	SourceIP              netip.Addr // an address of this machine; zero: the system chooses
	Connections           int        // default 10
	MessagesPerConnection int        // default 1000; 0: no limit
	Pipeline              int        // messages on the way at a time over one connection, if the server offers CHUNKING; default 1
}

// Security says how a connection is encrypted.
type Security string

const (
	StartTLS Security = "starttls" // required: a server that does not offer it is refused
	TLS      Security = "tls"      // from the first byte (RFC 8314)
	None     Security = "none"
)

// A Rule says what a reply means in which Match finds something. The first rule that fits decides.
type Rule struct {
	Match *regexp.Regexp // is matched with the reply on one line, as report shows it
	Class string         // throttle, transient, hard_bounce, rejected, auth_or_config
}

// Delivery is how the queue is drained.
type Delivery struct {
	Batch                  int // rows claimed at a time; default 100
	Attempts               int // default 5
	BackoffMin, BackoffMax time.Duration
	Durability             Durability
	Windows                Windows   // nothing is sent outside them; empty: at any time
	NotBefore              time.Time // zero: at once
	Expires                Expiry
}

// Durability says what the record of a begun message survives.
type Durability string

const (
	Strict  Durability = "strict"  // a power cut: one fsync for each group of messages
	Process Durability = "process" // the death of the process
)
