package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"mailblast/campaign/text"
	"mailblast/store"
)

// Suppress adds the entries that next yields until io.EOF, all of them or, after an error, none. What is on the list
// already stays as it is: the first reason is the one that counts. It returns how many were added, and how many were
// there.
//
// They are sorted first: in the order of most lists each entry would go to another page of the table, which is ten times
// as slow. They are gathered in a temporary table, which locks nobody out while they come.
func (s *Store) Suppress(ctx context.Context, next func() (store.Suppression, error)) (added, known int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	plain := context.WithoutCancel(ctx)
	const incoming = "CREATE TEMP TABLE IF NOT EXISTS incoming (address TEXT NOT NULL, reason TEXT NOT NULL, source TEXT NOT NULL, created INTEGER NOT NULL)"
	if err := s.exec(plain, incoming); err != nil {
		return 0, 0, explain(err)
	}
	read, err := s.gather(ctx, next)
	if err == nil {
		err = s.writeAs(ctx, "strict", func(ctx context.Context) error {
			added, err = s.changes(ctx, "INSERT INTO suppression SELECT address, reason, source, created FROM incoming WHERE true ORDER BY address, rowid ON CONFLICT (address) DO NOTHING")
			return err
		})
	}
	err = errors.Join(err, s.exec(plain, "DELETE FROM incoming"))
	if err != nil {
		return 0, 0, explain(err)
	}
	return added, read - added, nil
}

// gather writes entries into the table incoming, in one transaction, and counts them.
func (s *Store) gather(ctx context.Context, next func() (store.Suppression, error)) (read int64, err error) {
	plain := context.WithoutCancel(ctx)
	if err := s.exec(plain, "BEGIN"); err != nil {
		return 0, err
	}
	defer func() {
		end := "COMMIT"
		if err != nil {
			end = "ROLLBACK"
		}
		err = errors.Join(err, s.exec(plain, end))
	}()
	now := millis(time.Now())
	var args []any
	flush := func() error {
		rows := len(args) / 4
		if rows == 0 {
			return nil
		}
		err := s.exec(plain, "INSERT INTO incoming VALUES (?, ?, ?, ?)"+strings.Repeat(", (?, ?, ?, ?)", rows-1), args...)
		args = args[:0]
		return err
	}
	for {
		e, err := next()
		if errors.Is(err, io.EOF) {
			return read, flush()
		}
		if err != nil {
			return 0, err
		}
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		created := millis(e.Created)
		if created == 0 {
			created = now
		}
		read++
		if args = append(args, e.Address, shown(e.Reason), shown(e.Source), created); len(args) == 4*loadGroup {
			if err := flush(); err != nil {
				return 0, err
			}
		}
	}
}

// Unsuppress removes entries from the list, and returns those that were on it.
func (s *Store) Unsuppress(ctx context.Context, addresses []string) (removed []string, err error) {
	err = s.write(ctx, func(ctx context.Context) error {
		for _, a := range addresses {
			n, err := s.changes(ctx, "DELETE FROM suppression WHERE address = ?1", a)
			if err != nil {
				return err
			}
			if n > 0 {
				removed = append(removed, a)
			}
		}
		return nil
	})
	if err != nil {
		return nil, explain(err)
	}
	return removed, nil
}

// Suppressions streams the list in the order of its addresses. While yield has an entry, the queue is not being read;
// see Rows.
func (s *Store) Suppressions(ctx context.Context, yield func(store.Suppression) error) error {
	last := ""
	for {
		batch, err := s.suppressionsAfter(ctx, last)
		if err != nil {
			return explain(err)
		}
		for _, e := range batch {
			if err := yield(e); err != nil {
				return err
			}
		}
		if len(batch) < rowBatch {
			return nil
		}
		last = batch[len(batch)-1].Address
	}
}

func (s *Store) suppressionsAfter(ctx context.Context, last string) (batch []store.Suppression, err error) {
	rows, err := s.readDB.QueryContext(ctx, "SELECT address, reason, source, created FROM suppression WHERE address > ?1 ORDER BY address LIMIT ?2", last, rowBatch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var e store.Suppression
		var created int64
		if err := rows.Scan(&e.Address, &e.Reason, &e.Source, &created); err != nil {
			return nil, err
		}
		e.Created = fromMillis(created)
		batch = append(batch, e)
	}
	return batch, rows.Err()
}

// Suppressed returns the entry that keeps an address from being mailed, its own before its domain's. It reports false
// when there is none.
func (s *Store) Suppressed(ctx context.Context, address string) (store.Suppression, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	plain := context.WithoutCancel(ctx)
	var found map[string]store.Suppression
	filter, err := s.suppressionFilter(plain)
	if err == nil {
		found, err = filter.entries(plain, []string{address})
	}
	e, ok := found[address]
	return e, ok, explain(err)
}

// Listed counts the campaign's rows in a state that are on the suppression list.
func (l *Lease) Listed(ctx context.Context, state store.State) (n int64, err error) {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	plain := context.WithoutCancel(ctx)
	filter, err := s.suppressionFilter(plain)
	for last := int64(0); err == nil && filter.any && last >= 0; {
		var identities []string
		from := last
		last = -1
		err = s.each(plain, 2, func(row []driver.Value) error {
			last, _ = row[0].(int64)
			identity, _ := row[1].(string)
			identities = append(identities, identity)
			return ctx.Err()
		}, "SELECT id, identity FROM job NOT INDEXED WHERE campaign = ?1 AND state = ?2 AND id > ?3 ORDER BY id LIMIT ?4", l.id, string(state), from, rowBatch)
		if err == nil {
			var found map[string]store.Suppression
			found, err = filter.entries(plain, identities)
			n += int64(len(found))
		}
	}
	return n, explain(err)
}

// suppressMeanwhile is suppressClaimed for the messages that are about to begin: they may have waited for their domain since
// they were claimed, and the list may be longer now. If no other process has written to the queue since the first claim, it
// is not, and nobody looks.
func (l *Lease) suppressMeanwhile(ctx context.Context, jobs []store.Job, now int64, delta map[string]int64) ([]store.Job, error) {
	if len(jobs) == 0 {
		return nil, nil
	}
	version, err := l.store.dataVersion(ctx)
	if err != nil || version == l.version {
		return jobs, err
	}
	return l.suppressClaimed(ctx, slices.Clone(jobs), now, delta)
}

// dataVersion changes when another connection writes to the queue, and not when the writer does
// (https://sqlite.org/pragma.html#pragma_data_version). The caller holds s.mu.
func (s *Store) dataVersion(ctx context.Context) (int64, error) {
	return s.number(ctx, "PRAGMA data_version")
}

// suppressClaimed ends the claims of jobs on the suppression list, inside the caller's transaction, so that no moment of death
// leaves them claimed. It returns the others. An empty list costs one query.
func (l *Lease) suppressClaimed(ctx context.Context, jobs []store.Job, now int64, delta map[string]int64) ([]store.Job, error) {
	s := l.store
	if len(jobs) == 0 {
		return jobs, nil
	}
	filter, err := s.suppressionFilter(ctx)
	if err != nil || !filter.any {
		return jobs, err
	}
	identity := make(map[int64]string, len(jobs))
	for group := range slices.Chunk(jobs, loadGroup) {
		err := s.each(ctx, 2, func(row []driver.Value) error {
			id, _ := row[0].(int64)
			identity[id], _ = row[1].(string)
			return nil
		}, "SELECT id, identity FROM job WHERE id IN (?"+strings.Repeat(", ?", loadGroup-1)+")", padded(group, func(j store.Job) any { return j.ID })...)
		if err != nil {
			return nil, err
		}
	}
	addresses := make([]string, len(jobs))
	for i, j := range jobs {
		addresses[i] = identity[j.ID]
	}
	found, err := filter.entries(ctx, addresses)
	if err != nil || len(found) == 0 {
		return jobs, err
	}
	kept := jobs[:0]
	for i, j := range jobs {
		e, ok := found[addresses[i]]
		if !ok {
			kept = append(kept, j)
			continue
		}
		n, err := s.changes(ctx, `UPDATE job SET state = 'suppressed', owner = NULL, attempt = attempt - 1, updated = ?1, code = 0, status = '', text = ?2, server = ''
			WHERE id = ?3 AND owner = ?4 AND attempt = ?5 AND state = 'claimed'`, now, reasonFor(e, addresses[i]), j.ID, j.Owner, j.Attempt)
		if err != nil {
			return nil, err
		}
		delta[string(store.Suppressed)] += n
	}
	return kept, nil
}

// suppressBounced puts an outcome's recipient on the list, by the server's own words, inside the caller's transaction.
func (l *Lease) suppressBounced(ctx context.Context, o *store.Outcome, now int64) error {
	code := ""
	if o.Code != 0 {
		code = fmt.Sprint(o.Code)
	}
	return l.store.exec(ctx, `INSERT INTO suppression (address, reason, source, created) SELECT identity, ?1, ?2, ?3 FROM job WHERE id = ?4
		ON CONFLICT (address) DO NOTHING`, shown(code+" "+o.Status+" "+o.Text), shown(l.name), now, o.Job.ID)
}

// reasonFor is the text of a row that is suppressed by an entry.
func reasonFor(e store.Suppression, address string) string {
	text := "on the suppression list"
	if e.Address != address {
		text += " as " + e.Address
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	if e.Source != "" {
		text += " (" + e.Source + ")"
	}
	return text
}

// A suppressionFilter looks addresses up in the suppression list. It is valid for the transaction in which it was made.
type suppressionFilter struct {
	store   *Store
	any     bool // the list has entries
	domains bool // of domains, too
	below   bool // of domains with all that is below them, too
}

// suppressionFilter finds out which kinds of entries there are, so that nobody looks for others. The caller holds s.mu.
func (s *Store) suppressionFilter(ctx context.Context) (suppressionFilter, error) {
	f := suppressionFilter{store: s}
	// Entries of domains begin with @, which sorts before A, and the wider ones with @., which sorts before @/.
	err := s.each(ctx, 3, func(row []driver.Value) error {
		f.any, f.domains, f.below = row[0] == int64(1), row[1] == int64(1), row[2] == int64(1)
		return nil
	}, `SELECT EXISTS (SELECT 1 FROM suppression), EXISTS (SELECT 1 FROM suppression WHERE address >= '@' AND address < 'A'),
		EXISTS (SELECT 1 FROM suppression WHERE address >= '@.' AND address < '@/')`)
	return f, err
}

// entries returns the entries of those addresses that are on the list.
func (f suppressionFilter) entries(ctx context.Context, addresses []string) (map[string]store.Suppression, error) {
	if !f.any {
		return nil, nil
	}
	var keys []string
	asked := map[string]bool{}
	for _, address := range addresses {
		for key := range f.keys(address) {
			if !asked[key] {
				asked[key] = true
				keys = append(keys, key)
			}
		}
	}
	entries := map[string]store.Suppression{}
	for group := range slices.Chunk(keys, loadGroup) {
		err := f.store.each(ctx, 4, func(row []driver.Value) error {
			var e store.Suppression
			e.Address, _ = row[0].(string)
			e.Reason, _ = row[1].(string)
			e.Source, _ = row[2].(string)
			created, _ := row[3].(int64)
			e.Created = fromMillis(created)
			entries[e.Address] = e
			return nil
		}, "SELECT address, reason, source, created FROM suppression WHERE address IN (?"+strings.Repeat(", ?", loadGroup-1)+")", padded(group, func(key string) any { return key })...)
		if err != nil {
			return nil, err
		}
	}
	if len(entries) == 0 {
		return nil, nil
	}
	found := map[string]store.Suppression{}
	for _, address := range addresses {
		for key := range f.keys(address) {
			if e, ok := entries[key]; ok {
				found[address] = e
				break
			}
		}
	}
	return found, nil
}

// keys yields the entries by which an address would be on the list, the nearest first.
func (f suppressionFilter) keys(address string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		domain := address[strings.LastIndexByte(address, '@')+1:]
		if !yield(address) || f.domains && !yield("@"+domain) {
			return
		}
		for more := f.below; more; _, domain, more = strings.Cut(domain, ".") {
			if !yield("@." + domain) {
				return
			}
		}
	}
}

// padded repeats the last of a group until there are loadGroup arguments, so that one prepared statement serves all groups.
func padded[T any](group []T, arg func(T) any) []any {
	args := make([]any, loadGroup)
	for i := range args {
		args[i] = arg(group[min(i, len(group)-1)])
	}
	return args
}

// shown makes text from outside fit to be kept and shown: printable, on one line, not too long.
func shown(s string) string {
	return text.Short(text.Visible(strings.Join(strings.Fields(s), " ")), store.ReasonMost)
}
