// Package reply understands what an SMTP server said: it reads replies off the wire and says what each one means.
package reply

// A Reply is one SMTP reply (RFC 5321 section 4.2), all its lines joined.
type Reply struct {
	Code   int    // 200 to 599
	Status string // enhanced status code (RFC 3463), "" when the server gave none
	Text   string // lines joined by "\n", without code and enhanced status, valid UTF-8, no control characters but "\n"
}

// A Stage is where in the session a reply was given.
type Stage int

const (
	Connect Stage = iota // dial, TLS from the first byte, greeting
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
