package store

import "time"

// A Row is what became of one recipient.
type Row struct {
	Email     string
	State     State
	Attempts  int
	Due       time.Time // for queued rows: not before; zero: at once
	Code      int       // the last reply of the server
	Status    string
	Reply     string
	Server    string
	MessageID string // "" for rows that cannot be mailed
	Line      int    // in the CSV
	Updated   time.Time
	Earlier   []Attempt // those before the last one, oldest first; only when asked for
}

// An Attempt is how one attempt ended that was followed by another.
type Attempt struct {
	At     time.Time
	State  State // Queued: deferred; Failed or InDoubt: put back by a person
	Code   int
	Status string
	Reply  string
	Server string
}
