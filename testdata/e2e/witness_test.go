package e2e

import (
	"bytes"
	"context"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"mailblast/sender/sink"
)

// A witness counts what a server has taken, by recipient, before it says so.
type witness struct {
	mu    sync.Mutex
	taken map[string]int
}

func (w *witness) accept(m sink.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, to := range m.To {
		w.taken[to]++
	}
}

// count is how many recipients were sent to.
func (w *witness) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.taken)
}

// record is how often each recipient was sent to.
func (w *witness) record() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.taken)
}

// startServer starts a server in this process. Its witness writes a message down before o.OnAccept hears of it.
func startServer(t *testing.T, o sink.Options) (*sink.Server, *witness) {
	t.Helper()
	w, then := &witness{taken: map[string]int{}}, o.OnAccept
	o.Listen, o.OnAccept = "127.0.0.1:0", func(m sink.Message) {
		w.accept(m)
		if bytes.Contains(m.Data, []byte("ZgotmplZ")) { // what html/template puts in the place of values
			t.Errorf("a value was replaced in the message to %v", m.To)
		}
		if then != nil {
			then(m)
		}
	}
	server, err := sink.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close(context.Background()) })
	return server, w
}

// startSink is startServer for those to whom its port is enough.
func startSink(t *testing.T, o sink.Options) (port int, w *witness) {
	t.Helper()
	server, w := startServer(t, o)
	return server.Addr().(*net.TCPAddr).Port, w
}

// atMessage is a sink's OnAccept that does something when the server has taken n messages, and has not acknowledged the
// last one. It waits for ready, if that is not nil: what the test sets before it closes ready may be used.
func atMessage(n int64, ready <-chan struct{}, do func()) func(sink.Message) {
	var taken atomic.Int64
	return func(sink.Message) {
		if taken.Add(1) != n {
			return
		}
		if ready != nil {
			<-ready
		}
		do()
	}
}
