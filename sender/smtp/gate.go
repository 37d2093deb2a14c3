package smtp

import (
	"context"
	"errors"
	"sync"
	"time"

	"mailblast/sender/reply"
)

// A dialGate lets only a few dials through until it is opened. All connections of a run begin at the same moment. The
// first show whether the server can be used and the password is right (a server may count wrong ones), and they bring
// the TLS session that the others resume.
type dialGate struct {
	places chan struct{}
	opened chan struct{}
	open   func()
}

func newDialGate(places int) *dialGate {
	g := &dialGate{places: make(chan struct{}, places), opened: make(chan struct{})}
	g.open = sync.OnceFunc(func() { close(g.opened) })
	return g
}

const (
	dialsAtFirst = 2               // one may be stuck
	gatePatience = 5 * time.Second // both may
)

// pass calls dial when there is a place. Unless it fails with an error that only a person can mend, the gate is open
// afterwards.
func (g *dialGate) pass(ctx context.Context, dial func() error) error {
	if g == nil {
		return dial()
	}
	select {
	case <-g.opened:
		return dial()
	default:
	}
	select {
	case <-g.opened:
		return dial()
	case <-time.After(gatePatience):
		return dial()
	case g.places <- struct{}{}:
		defer func() { <-g.places }()
	case <-ctx.Done():
		return reply.Broken(reply.Connect, context.Cause(ctx))
	}
	err := dial()
	var e *reply.Error
	if !errors.As(err, &e) || !e.Final() {
		g.open()
	}
	return err
}
