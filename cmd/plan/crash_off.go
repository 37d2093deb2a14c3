//go:build !crash

package plan

import (
	"mailblast/sender"
	"mailblast/store"
)

// A crasher does nothing. In a build with the tag crash it dies where the tests want it to: see crash.go.
type crasher struct{}

var crash crasher

// step is passed outside the engine.
func (crasher) step(string) {}

// rows stands between the list and the queue that it is loaded into.
func (crasher) rows(next func() (store.Recipient, error)) func() (store.Recipient, error) {
	return next
}

// between stands between the engine and what it works on.
func (crasher) between(q sender.Queue, servers []sender.Route) (sender.Queue, []sender.Route) {
	return q, servers
}
