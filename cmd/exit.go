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

// An exit is an error that knows its exit code. Without a text there is nothing left to print.
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

// usage makes err one of what the user wrote.
func usage(err error) error { return &exit{exitUsage, err} }

// classify gives an error of a command its exit code. What is left without one by the time it reaches exitCode came from
// the parsing of the command line.
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

// early says why a run was stopped in place of what it was stopped at.
func early(ctx context.Context, err error) error {
	var known *exit
	if ctx.Err() != nil && !errors.As(err, &known) && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return &exit{exitUnfinished, context.Cause(ctx)}
	}
	return err
}

// exitCode prints an error of Execute to w and returns the code to exit with.
func exitCode(err error, w io.Writer) int {
	if err == nil {
		return exitDone
	}
	if text := err.Error(); text != "" && !errors.Is(err, syscall.EPIPE) { // whoever read the output has seen enough
		fmt.Fprintln(&screen{out: w}, "mailblast:", text)
	}
	var known *exit
	if errors.As(err, &known) {
		return known.code
	}
	return exitUsage
}
