package store

import "time"

// ReasonMost is how long a reason is kept, in octets.
const ReasonMost = 500

// A Suppression is an entry of the suppression list: who is never mailed, and why. The list is the queue's and holds
// for all its campaigns. It is looked at when recipients are loaded, when they are claimed, and again before their
// messages begin if another process has written to the queue meanwhile.
type Suppression struct {
	Address string    // normalised, as Recipient.Identity; @example.com: all at that domain; @.example.com: and at all domains below it
	Reason  string    // kept on one line, and not longer than ReasonMost
	Source  string    // where the entry is from: a campaign, a file, a person; kept likewise
	Created time.Time // zero: now
}
