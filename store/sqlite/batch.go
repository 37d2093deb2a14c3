package sqlite

import (
	"context"
	"errors"
	"io"

	"mailblast/store"
)

// A batch is rows on their way from the list to the table.
type batch struct {
	args   []any   // of the statement that inserts them, jobArgs for each: identity, address, fields, line
	extras []extra // of each row
	octets int     // about, in both
}

const jobArgs = 4

// An extra is the rest of what is written of a row. Nearly all rows have the same.
type extra struct {
	state store.State
	text  string
	rank  float64
}

var toSend = extra{state: store.Queued}

// How large a batch grows, and how many there are: a row may have a megabyte.
const (
	batchRows   = 4 * loadGroup
	batchOctets = 256 << 10
	batches     = 3
)

// A reader makes batches of what next yields.
type reader struct {
	next     func() (store.Recipient, error)
	position []int                  // of a row's values in the campaign's columns
	rank     func([]string) float64 // nil: the order of the list

	values []string // one row's, by position in the campaign's columns
	list   []byte   // the same as JSON
}

// each yields batches to the end of the list. A batch is valid until the next one. Reading rows takes half as long as
// writing them, so a goroutine reads some batches ahead. It alone touches the reader, and has ended when each returns.
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
	b.args, b.extras, b.octets = b.args[:0], b.extras[:0], 0
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

func (r *reader) add(b *batch, row store.Recipient) error {
	r.values = r.values[:0]
	for i, v := range row.Values {
		at := r.position[i]
		for len(r.values) <= at {
			r.values = append(r.values, "")
		}
		r.values[at] = v
	}
	var err error
	if r.list, err = store.EncodeFields(r.list[:0], r.values); err != nil {
		return err
	}
	f := toSend
	if row.Invalid != "" {
		f.state, f.text = store.Invalid, row.Invalid
	}
	if r.rank != nil {
		f.rank = r.rank(row.Values)
	}
	b.args = append(b.args, row.Identity, row.Address, string(r.list), int64(row.Line))
	b.extras = append(b.extras, f)
	b.octets += len(row.Identity) + len(row.Address) + len(r.list) + len(row.Invalid)
	return nil
}
