package plan

import (
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"

	"mailblast/campaign/finding"
	"mailblast/store"
)

// An InputError is about what the user wrote. Nothing was sent.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }

func (e *InputError) Unwrap() error { return e.Err }

// IsInput reports whether an error is about what the user wrote: a campaign file, a template or a list with a fault, a
// name that the queue does not know or cannot take.
func IsInput(err error) bool {
	var input *InputError
	var found finding.Finding
	var all finding.Findings
	var changed *store.ChangedError
	return errors.As(err, &input) || errors.As(err, &found) || errors.As(err, &all) || errors.As(err, &changed) ||
		errors.Is(err, store.ErrPurged) || errors.Is(err, store.ErrNoCampaign) || errors.Is(err, store.ErrNoQueue)
}

// badRowsShown is how many rows that cannot be used are shown.
const badRowsShown = 20

// BadRows are the rows of a list that cannot be used: how many there are, and the first of them.
type BadRows struct {
	N     int
	shown finding.Findings
}

func (b *BadRows) add(err error) {
	b.N++
	var found finding.Finding
	if len(b.shown) < badRowsShown && errors.As(err, &found) {
		b.shown = append(b.shown, found)
	}
}

// Error is their number, and each on a line.
func (b *BadRows) Error() string {
	text := humanize.Comma(int64(b.N)) + "\n" + b.shown.Error()
	if n := b.N - len(b.shown); n > 0 {
		text += fmt.Sprintf("\n… and %s more", humanize.Comma(int64(n)))
	}
	return text
}
