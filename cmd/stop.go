package cmd

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	grace   = 30 * time.Second // for messages under way, from the moment at which nothing new may be started
	cutting = 5 * time.Second  // for writing down what became of them, from the cut
	leaving = 2 * time.Second  // for commands that have nothing under way
)

// Signals delivers the signals that end a command.
func Signals() <-chan os.Signal {
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	signal.Ignore(syscall.SIGPIPE) // whoever reads the log may go; the run goes on
	return signals
}

// Main runs the command line until it ends or the signals end it, and returns the exit code. demo holds testdata/demo.
func Main(signals <-chan os.Signal, demo fs.FS) int {
	a := &app{demo: demo}
	root := a.rootCommand()
	return a.supervise(signals, os.Stderr, func(ctx context.Context) error { return root.ExecuteContext(ctx) })
}

// supervise runs a command under two contexts. The first signal ends ctx, under which things are started; a second one,
// or the end of the grace, ends a.work, under which they are finished. A command that does not see that, because it
// reads from a pipe, say, is left where it is: the queue is as safe as after any other death.
func (a *app) supervise(signals <-chan os.Signal, stderr io.Writer, command func(ctx context.Context) error) int {
	all, cut := context.WithCancelCause(context.Background())
	defer cut(nil)
	ctx, stop := context.WithCancelCause(all)
	defer stop(nil)
	var end context.CancelFunc
	a.work, end = withGrace(all, ctx)
	defer end()
	code := make(chan int, 1)
	go func() { code <- exitCode(command(ctx), stderr) }()

	var why interrupted
	select {
	case c := <-code:
		return c
	case why.Signal = <-signals:
		stop(why)
	}
	patience := leaving
	if a.graceful.Load() {
		select {
		case c := <-code:
			return c
		case <-signals:
			cut(why)
		case <-a.work.Done():
		}
		patience = cutting
	}
	select {
	case c := <-code:
		return c
	case <-signals:
	case <-time.After(patience):
	}
	fmt.Fprintln(stderr, "mailblast:", why)
	return exitUnfinished
}

// withGrace returns the context of what is under way when ctx is the one of what is started. It ends with parent, and
// when ctx has been over for the grace, whatever ended that: a signal, --max-runtime, or the campaign's expiry.
func withGrace(parent, ctx context.Context) (work context.Context, end context.CancelFunc) {
	work, cut := context.WithCancelCause(parent)
	disarm := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(grace):
			cut(context.Cause(ctx))
		case <-work.Done():
		}
	})
	return work, func() { disarm(); cut(nil) }
}

// interrupted is why a run was stopped from outside.
type interrupted struct{ os.Signal }

func (i interrupted) Error() string { return fmt.Sprintf("interrupted (%v)", i.Signal) }

func (i interrupted) Is(target error) bool { return target == context.Canceled }
