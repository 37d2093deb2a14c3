//go:build unix

package cmd

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// Each of the signals that end a command is delivered, and nothing of a pipe that nobody reads is.
func TestSignals(t *testing.T) {
	signals := Signals()
	defer signal.Reset()
	for _, s := range []syscall.Signal{syscall.SIGPIPE, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if err := syscall.Kill(os.Getpid(), s); err != nil {
			t.Fatal(err)
		}
		if s == syscall.SIGPIPE {
			continue
		}
		if got := <-signals; got != s {
			t.Errorf("got %v, want %v", got, s)
		}
	}
}
