// Package reply says what a server's answer means: for the recipient, and for the server.
//
// Read reads an SMTP reply off the wire. A Classifier explains it by three sets of rules: the user's own, those of
// providers (providers.tsv), and those for all servers (rules.go). A transport hands reply and explanation on together,
// in an Answer or an Error, so that the sender has to know neither codes nor protocols. Apart from Read, everything
// here is a pure function of what the server said.
package reply

// A Reply is one SMTP reply (RFC 5321 section 4.2), all its lines joined.
type Reply struct {
	Code   int    // 200 to 599
	Status string // enhanced status code (RFC 3463), "" when the server gave none
	Text   string // lines joined by "\n", without code and enhanced status, valid UTF-8, no control characters but "\n"
}

// An Answer is what a server said to a message, and what that means.
type Answer struct {
	Stage Stage
	Reply
	Explanation
}

// A Stage is the step of a session at which a server says something. A protocol without envelopes has its answers at
// Dot.
type Stage int

const (
	Connect Stage = iota // dial, TLS from the first octet, greeting
	Ehlo
	StartTLS
	Auth
	Mail
	Rcpt
	Data // the reply to DATA
	Dot  // the reply to the final dot, or to BDAT LAST
	Rset
)

// A Verdict is what becomes of the recipient.
type Verdict int

const (
	Sent      Verdict = iota
	Retry             // later, counts as an attempt
	Throttle          // later and slower, does not count as an attempt
	Permanent         // refused for good
	Stop              // nothing can be sent until a person changes something, or a quota is new
	InDoubt           // only the server knows
)

// A Scope is how much a verdict hits.
type Scope int

const (
	Recipient Scope = iota
	Message
	Session
	Server
)
