// Mailblast sends e-mail campaigns: see cmd for the commands and README.md for what it is.
package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"mailblast/cmd"
)

// grace is how long messages under way may take to end after the first signal.
const grace = 30 * time.Second

//go:embed testdata/demo
var demo embed.FS

func main() { os.Exit(run()) }

// run gives the command two contexts. The first signal ends the one that starts things; a second one, or the end of the
// grace, ends the one under which they are done.
func run() int {
	work, cut := context.WithCancelCause(context.Background())
	defer cut(nil)
	ctx, stop := context.WithCancelCause(work)
	defer stop(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		s := <-signals
		stop(interrupted{s})
		select {
		case s = <-signals:
		case <-time.After(grace):
		}
		cut(interrupted{s})
	}()
	root := cmd.New(work, demo)
	return cmd.ExitCode(root.ExecuteContext(ctx), os.Stderr)
}

// interrupted is why a run was stopped from outside.
type interrupted struct{ os.Signal }

func (i interrupted) Error() string { return fmt.Sprintf("interrupted (%v)", i.Signal) }

func (i interrupted) Is(target error) bool { return target == context.Canceled }
