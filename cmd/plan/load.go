package plan

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"mailblast/campaign/list"
	"mailblast/campaign/message"
	"mailblast/campaign/text"
	"mailblast/store"
)

// sampleRows are composed before the first message leaves.
const sampleRows = 100

// LoadOptions say what is done about a list, or a campaign file, that is not as it should be.
type LoadOptions struct {
	SkipInvalid   bool // rows that cannot be mailed are recorded as invalid; else they are BadRows, and nothing is loaded
	AcceptChanges bool // the campaign file may differ from what was sent already
}

// Recover settles what an interrupted run of a campaign left: so many are back in the queue, and so many in doubt.
func Recover(ctx context.Context, lease store.Keeper) (requeued, inDoubt int, err error) {
	crash.step("before-recover")
	defer crash.step("after-recover")
	return lease.Recover(ctx)
}

// Load brings rows, and a snapshot of everything that sending them needs, into the queue. The message must be compiled
// for them: that of the first ones is composed, so that a fault shows before anything is sent.
func (p *Plan) Load(ctx context.Context, lease store.Loader, rows *list.Recipients, o LoadOptions) (store.Loaded, error) {
	f, columns := p.File, rows.Columns()
	snapshot := store.Snapshot{
		Path: p.path, Source: p.source, Columns: columns, Files: p.files,
		MessageDomain: f.From.Address.Domain, Durability: string(f.Delivery.Durability),
		Priority: f.Priority, Order: f.OrderBy.String(), Rank: list.Ranker(columns, f.OrderBy.Field, f.OrderBy.Ascending),
	}
	if abs, err := filepath.Abs(p.path); err == nil {
		snapshot.Path = abs
	}
	r := reader{rows: rows, skip: o.SkipInvalid, composer: p.message.Composer()}
	return lease.Load(ctx, snapshot, o.AcceptChanges, crash.rows(r.next))
}

// A reader turns the rows of a list into recipients of the queue.
type reader struct {
	rows     *list.Recipients
	skip     bool
	composer *message.Composer

	sampled int
	bad     BadRows
}

// next is what store.Loader asks for.
func (r *reader) next() (store.Recipient, error) {
	for {
		row, err := r.rows.Next()
		switch {
		case err == io.EOF && r.bad.N > 0:
			return store.Recipient{}, &r.bad
		case err != nil:
			return store.Recipient{}, err
		case row.Err != nil && r.skip:
			return invalid(row), nil
		case row.Err != nil:
			r.bad.add(row.Err)
		case r.bad.N > 0:
			// The list is refused; only how many rows are invalid is still of interest.
		default:
			return store.Recipient{Identity: row.Address.Key(), Address: row.Address.String(), Values: row.Values, Line: row.Line}, r.sample(row)
		}
	}
}

// invalid is a recipient who cannot be mailed. No address holds a space, so that it has the identity of nobody else.
func invalid(row list.Row) store.Recipient {
	identity := "invalid " + row.Raw
	if row.Raw == "" {
		identity = fmt.Sprintf("invalid line %d", row.Line)
	}
	return store.Recipient{Identity: identity, Address: text.Visible(row.Raw), Values: row.Values, Line: row.Line, Invalid: row.Err.Error()}
}

// sample composes the message of a row, if it is one of the first.
func (r *reader) sample(row list.Row) error {
	if r.sampled == sampleRows {
		return nil
	}
	r.sampled++
	_, err := r.composer.Compose(message.Recipient{Address: row.Address, Values: row.Values, MessageID: "sample@localhost", Date: time.Now()})
	if err != nil {
		return &InputError{fmt.Errorf("the message for line %d, %s: %w", row.Line, row.Address, err)}
	}
	return nil
}

// Suppressions makes entries of the suppression list of rows; reason and source are for those that do not say. Rows
// that are no entries go to bad; unless they are to be skipped, it is the error at the end.
func Suppressions(rows *list.Suppressions, reason, source string, bad *BadRows, skip bool) func() (store.Suppression, error) {
	return func() (store.Suppression, error) {
		for {
			row, err := rows.Next()
			switch {
			case err == io.EOF && bad.N > 0 && !skip:
				return store.Suppression{}, bad
			case err != nil:
				return store.Suppression{}, err
			case row.Err != nil:
				bad.add(row.Err)
				continue
			}
			e := store.Suppression{Address: row.Entry, Reason: row.Reason, Source: row.Source, Created: row.Created}
			if e.Reason == "" {
				e.Reason = reason
			}
			if e.Source == "" {
				e.Source = source
			}
			return e, nil
		}
	}
}
