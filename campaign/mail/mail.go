// Package mail is the message that composer, sender and session share, so that none of them has to know another.
package mail

// A Message is one recipient's mail with its envelope, ready to be sent.
type Message struct {
	From, To string   // envelope addresses
	UTF8     bool     // an address needs SMTPUTF8 (RFC 6531)
	Content  [][]byte // the message of RFC 5322 in CRLF lines, not dot-stuffed; the pieces follow one another
	Size     int      // octets of Content
}
