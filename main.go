// Mailblast sends e-mail campaigns: see cmd for the commands and README.md for what it is.
package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"mailblast/cmd"
)

const (
	grace   = 30 * time.Second // for messages under way, after the first signal
	cutting = 5 * time.Second  // for writing down what became of them, after the cut
	leaving = 2 * time.Second  // for commands that have nothing under way
)

//go:embed testdata/demo
var demo embed.FS

func main() { os.Exit(run()) }

// run gives the command two contexts. The first signal ends the one that starts things; a second one, or the end of the
// grace, ends the one under which they are done. A command that does not see that, because it reads from a pipe, say, is
// left where it is: the queue is as safe as after any other death.
func run() int {
	work, cut := context.WithCancelCause(context.Background())
	defer cut(nil)
	ctx, stop := context.WithCancelCause(work)
	defer stop(nil)
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	signal.Ignore(syscall.SIGPIPE) // whoever reads the log may go; the run goes on
	var graceful atomic.Bool
	root := cmd.New(work, demo, &graceful)
	go func() {
		s := <-signals
		stop(interrupted{s})
		if graceful.Load() {
			wait(signals, grace)
			cut(interrupted{s})
			wait(signals, cutting)
		} else {
			wait(signals, leaving)
		}
		fmt.Fprintln(os.Stderr, "mailblast:", interrupted{s})
		os.Exit(cmd.ExitUnfinished)
	}()
	return cmd.ExitCode(root.ExecuteContext(ctx), os.Stderr)
}

// wait waits for another signal, at most for d.
func wait(signals <-chan os.Signal, d time.Duration) {
	select {
	case <-signals:
	case <-time.After(d):
	}
}

// interrupted is why a run was stopped from outside.
type interrupted struct{ os.Signal }

func (i interrupted) Error() string { return fmt.Sprintf("interrupted (%v)", i.Signal) }

func (i interrupted) Is(target error) bool { return target == context.Canceled }
