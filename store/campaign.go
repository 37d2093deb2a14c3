package store

import "time"

// A Snapshot is everything that sending a campaign needs besides its recipients, as it is kept in the queue. It holds
// no secrets: the campaign file's ${VARIABLES} are unexpanded.
type Snapshot struct {
	Path          string // the campaign file's, for messages to a person
	Source        []byte // its text
	Columns       []string
	Files         map[string][]byte // templates, attachments, …: by the path that the campaign file uses
	MessageDomain string            // right side of each Message-ID
	Durability    string            // strict or process
	Priority      int
	Order         string                        // what Rank depends on besides the values; "" without an order
	Rank          func(values []string) float64 // of a row's values by Columns: the lowest is claimed first; nil: the order of the list
}

// A Campaign is what the queue knows about one.
type Campaign struct {
	ID                         int64
	Name                       string
	Created, Updated           time.Time
	Started, Finished, NextDue time.Time // zero: not yet; nothing waits
	Purged                     time.Time // when its recipients were removed; zero: they are there
	Path                       string
	Durability                 string
	Columns                    []string
	Priority                   int
	Rate                       float64 // messages a second while it was last drained
	Counts                     Counts
}

// A Recipient is one row to load.
type Recipient struct {
	Identity string   // normalised address
	Address  string   // as it goes on the wire
	Values   []string // in the order of Snapshot.Columns
	Line     int
	Invalid  string // why it cannot be mailed; "" when it can
}

// Loaded says what a load did.
type Loaded struct {
	Added      int64 // new rows, those that are not sent to included
	Invalid    int64 // of these
	Suppressed int64 // of these
	Unranked   int64 // of these, those to be sent to that have no place in the order, and come last
	Known      int64 // rows whose address was in the campaign already, earlier in this list or before it
}
