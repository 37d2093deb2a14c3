package store

import "time"

// A ServerState is what is known about a server.
type ServerState struct {
	Name        string
	First       time.Time // it took the first message; zero: none yet
	Rate        float64   // messages a second that it was found to take; 0: no limit was found
	Connections int       // that it was found to let in; 0: no limit was found
	Found       time.Time
	WaitsFor    string    // why nothing can be sent until then, or could be at the end of the last run
	WaitsUntil  time.Time // zero: nobody knows
}
