package header

import "strings"

// A syntax is what the value of a header field is made of, and so how it is written.
type syntax int

const (
	unstructured  syntax = iota // any text; what is not ASCII becomes encoded-words (RFC 2047)
	asciiWords                  // words that programs read: only ASCII, never encoded
	oneMailbox                  // an address, with or without a name (RFC 5322 section 3.4)
	mailboxes                   // such addresses, with commas between
	identifiers                 // <left@right>, with spaces between (RFC 5322 section 3.6.4)
	urls                        // <https://…>, with commas between (RFC 2369 section 2)
	oneURL                      // <https://…> (RFC 5064 section 2)
	listID                      // a name and <list.example.com> (RFC 2919 section 3)
	oneClickValue               // List-Unsubscribe=One-Click (RFC 8058 section 3.1)
)

// syntaxes are those of the fields that have a grammar, by the name in lower case. All others are unstructured.
var syntaxes = map[string]syntax{
	"sender":                      oneMailbox,
	"author":                      mailboxes, // RFC 9057
	"disposition-notification-to": mailboxes, // RFC 8098
	"errors-to":                   mailboxes,
	"mail-followup-to":            mailboxes,
	"mail-reply-to":               mailboxes,
	"return-receipt-to":           mailboxes,
	"x-confirm-reading-to":        mailboxes,

	"in-reply-to":         identifiers,
	"original-message-id": identifiers,
	"references":          identifiers,
	"supersedes":          identifiers,

	"archived-at":           oneURL,
	"list-archive":          urls,
	"list-help":             urls,
	"list-id":               listID,
	"list-owner":            urls,
	"list-post":             urls,
	"list-subscribe":        urls,
	"list-unsubscribe":      urls,
	"list-unsubscribe-post": oneClickValue,

	"auto-submitted":           asciiWords, // RFC 3834
	"cfbl-address":             asciiWords, // RFC 9477
	"cfbl-feedback-id":         asciiWords,
	"expires":                  asciiWords, // RFC 4021
	"expiry-date":              asciiWords,
	"feedback-id":              asciiWords,
	"importance":               asciiWords,
	"precedence":               asciiWords,
	"priority":                 asciiWords,
	"reply-by":                 asciiWords,
	"sensitivity":              asciiWords,
	"x-auto-response-suppress": asciiWords,
	"x-msmail-priority":        asciiWords,
	"x-priority":               asciiWords,
}

// Structured reports whether a header field has a grammar, so that its value is read by Read.
func Structured(name string) bool { return syntaxOf(name) != unstructured }

func syntaxOf(name string) syntax { return syntaxes[strings.ToLower(name)] }
