package store

import (
	"context"
	"encoding/json"
	"errors"
	"io"
)

// A batch is rows on their way from the list to the table.
type batch struct {
	args   []any // of the statement that inserts them, jobArgs for each
	octets int   // about, in args
}

// The places of a row's arguments.
const (
	identityArg = 1
	stateArg    = 5
	textArg     = 7
	rankArg     = 8
	jobArgs     = 9
)

// How large a batch grows, and how many there are: a row may have a megabyte.
const (
	batchRows   = 4 * loadGroup
	batchOctets = 256 << 10
	batches     = 3
)

// A reader makes batches of what next yields.
type reader struct {
	next     func() (Recipient, error)
	campaign int64
	position []int                  // of a row's values in the campaign's columns
	rank     func([]string) float64 // nil: the order of the list
	now      int64

	values []string // one row's, by position in the campaign's columns
}

// each yields batches, which are valid until the next one, to the end of the list. To read rows and make them ready takes half as long
// as to write them down, so a goroutine does it some batches ahead. It alone touches the reader, and has ended when each returns.
func (r *reader) each(ctx context.Context, yield func(*batch) error) error {
	full, empty := make(chan *batch, batches), make(chan *batch, batches)
	for range batches {
		empty <- &batch{}
	}
	quit := make(chan struct{})
	var fault error // the goroutine's, until full is closed
	go func() {
		defer close(full)
		for more := true; more && fault == nil; {
			select {
			case b := <-empty:
				if more, fault = r.fill(ctx, b); fault == nil {
					full <- b
				}
			case <-quit:
				return
			}
		}
	}()
	defer func() {
		close(quit)
		for range full {
		}
	}()
	for b := range full {
		if err := yield(b); err != nil {
			return err
		}
		empty <- b
	}
	return fault
}

// fill reads rows into a batch until it is full, or no more come.
func (r *reader) fill(ctx context.Context, b *batch) (more bool, err error) {
	b.args, b.octets = b.args[:0], 0
	for len(b.args) < batchRows*jobArgs && b.octets < batchOctets {
		row, err := r.next()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		if err := r.add(b, row); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (r *reader) add(b *batch, row Recipient) error {
	r.values = r.values[:0]
	for i, v := range row.Values {
		at := r.position[i]
		for len(r.values) <= at {
			r.values = append(r.values, "")
		}
		r.values[at] = v
	}
	fields, err := json.Marshal(r.values)
	if err != nil {
		return err
	}
	state := Queued
	if row.Invalid != "" {
		state = Invalid
	}
	rank := 0.0
	if r.rank != nil {
		rank = r.rank(row.Values)
	}
	b.args = append(b.args, r.campaign, row.Identity, row.Address, string(fields), row.Line, string(state), r.now, row.Invalid, rank)
	b.octets += len(row.Identity) + len(row.Address) + len(fields) + len(row.Invalid)
	return nil
}
