package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"mailblast/cmd/plan"
	"mailblast/store"
)

// Exit codes.
const (
	exitDone       = 0 // nothing pending
	exitError      = 1 // unexpected
	exitUsage      = 2 // usage, campaign file or CSV: nothing was sent
	exitFailures   = 3 // finished, but some recipients failed or are in doubt
	exitUnfinished = 4 // stopped early, recipients are still queued
	exitHeld       = 5 // another process is draining this campaign
)

// An exit is an error with an exit code. Without a text nothing is printed.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// usage gives an error about what the user wrote its exit code.
func usage(err error) error { return &exit{exitUsage, err} }

// classify gives an error of a command its exit code. Errors that reach exitCode without one come from the parsing of
// the command line.
func classify(err error) error {
	var known *exit
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.Is(err, store.ErrHeld):
		return &exit{exitHeld, err}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &exit{exitUnfinished, err}
	case plan.IsInput(err):
		return &exit{exitUsage, err}
	}
	return &exit{exitError, err}
}

// early returns the reason for which ctx ended, in place of an error that only says that it did.
func early(ctx context.Context, err error) error {
	var known *exit
	if ctx.Err() != nil && !errors.As(err, &known) && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return &exit{exitUnfinished, context.Cause(ctx)}
	}
	return err
}

// exitCode prints the error of a command to w, and returns the code to exit with.
func exitCode(err error, w io.Writer) int {
	if err == nil {
		return exitDone
	}
	if text := err.Error(); text != "" && !errors.Is(err, syscall.EPIPE) { // the reader of the output went away
		fmt.Fprintln(&screen{out: w}, "mailblast:", text)
	}
	var known *exit
	if errors.As(err, &known) {
		return known.code
	}
	return exitUsage
}
