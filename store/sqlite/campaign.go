package sqlite

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailblast/store"
)

// Campaigns lists the campaigns in the order in which they were made.
func (s *Store) Campaigns(ctx context.Context) ([]store.Campaign, error) { return s.campaigns(ctx, "") }

// campaigns lists the one of that name, or all of them.
func (s *Store) campaigns(ctx context.Context, name string) ([]store.Campaign, error) {
	rows, err := s.readDB.QueryContext(ctx, `SELECT id, name, created, updated, coalesce(started, 0), coalesce(finished, 0), coalesce(purged, 0), path, durability, columns, priority, rate,
		coalesce((SELECT min(due) FROM job WHERE job.campaign = campaign.id AND state = 'queued'), 0) FROM campaign WHERE name = ?1 OR ?1 = '' ORDER BY id`, name)
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	var all []store.Campaign
	for rows.Next() {
		var c store.Campaign
		var created, updated, started, finished, purged, due int64
		var columns string
		if err := rows.Scan(&c.ID, &c.Name, &created, &updated, &started, &finished, &purged, &c.Path, &c.Durability, &columns, &c.Priority, &c.Rate, &due); err != nil {
			return nil, explain(err)
		}
		if err := json.Unmarshal([]byte(columns), &c.Columns); err != nil {
			return nil, fmt.Errorf("campaign %q: columns: %w", c.Name, err)
		}
		c.Created, c.Updated = fromMillis(created), fromMillis(updated)
		c.Started, c.Finished, c.NextDue = fromMillis(started), fromMillis(finished), fromMillis(due)
		c.Purged = fromMillis(purged)
		all = append(all, c)
	}
	if err := rows.Err(); err != nil {
		return nil, explain(err)
	}
	for i := range all {
		if all[i].Counts, err = counts(ctx, s.readDB, all[i].ID); err != nil {
			return nil, explain(err)
		}
	}
	return all, nil
}

// Campaign is the one of that name, or ErrNoCampaign.
func (s *Store) Campaign(ctx context.Context, name string) (store.Campaign, error) {
	all, err := s.campaigns(ctx, name)
	if err == nil && len(all) == 1 {
		return all[0], nil
	}
	if err == nil {
		all, err = s.Campaigns(ctx)
	}
	if err != nil {
		return store.Campaign{}, err
	}
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.Name
	}
	if len(all) == 0 {
		return store.Campaign{}, fmt.Errorf("%w: %q; the queue %s is empty", store.ErrNoCampaign, name, s.path)
	}
	return store.Campaign{}, fmt.Errorf("%w: %q; there are: %s", store.ErrNoCampaign, name, strings.Join(names, ", "))
}

// Source is the text of a campaign's file; empty when it was purged.
func (s *Store) Source(ctx context.Context, name string) (source []byte, err error) {
	err = s.readDB.QueryRowContext(ctx, "SELECT source FROM campaign WHERE name = ?1", name).Scan(&source)
	return source, explain(err)
}

// Snapshot reads the snapshot of a campaign.
func (s *Store) Snapshot(ctx context.Context, name string) (store.Snapshot, error) {
	c, err := s.Campaign(ctx, name)
	if err != nil {
		return store.Snapshot{}, err
	}
	snap := store.Snapshot{Path: c.Path, Columns: c.Columns, Durability: c.Durability, Files: map[string][]byte{}}
	if err := s.readDB.QueryRowContext(ctx, "SELECT source, message_domain FROM campaign WHERE id = ?1", c.ID).Scan(&snap.Source, &snap.MessageDomain); err != nil {
		return store.Snapshot{}, explain(err)
	}
	rows, err := s.readDB.QueryContext(ctx, "SELECT path, sha256, bytes FROM snapshot JOIN content USING (sha256) WHERE campaign = ?1", c.ID)
	if err != nil {
		return store.Snapshot{}, explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var path, sum string
		var content []byte
		if err := rows.Scan(&path, &sum, &content); err != nil {
			return store.Snapshot{}, explain(err)
		}
		if digest(content) != sum {
			return store.Snapshot{}, fmt.Errorf("campaign %q: %s in the queue does not have the checksum that was written down with it: the queue is damaged", name, path)
		}
		snap.Files[path] = content
	}
	return snap, explain(rows.Err())
}

// saveSnapshot writes a campaign's snapshot, inside the caller's transaction, and returns the campaign's id and how the CSV's columns map to
// the positions of the stored rows. A snapshot that differs from the one that has begun to be sent is a ChangedError,
// unless accept.
func (s *Store) saveSnapshot(ctx context.Context, name string, snap store.Snapshot, accept bool) (id int64, position []int, err error) {
	sums := map[string]string{}
	for path, content := range snap.Files {
		sums[path] = digest(content)
	}
	now := millis(time.Now())

	var started, purged sql.NullInt64
	var source []byte
	var stored, order string
	err = s.writer.QueryRowContext(ctx, "SELECT id, started, purged, source, columns, order_by FROM campaign WHERE name = ?1", name).Scan(&id, &started, &purged, &source, &stored, &order)
	var columns []string
	switch {
	case errors.Is(err, sql.ErrNoRows):
		salt := make([]byte, 8)
		if _, err := rand.Read(salt); err != nil {
			return 0, nil, err
		}
		err = s.writer.QueryRowContext(ctx, `INSERT INTO campaign (name, created, updated, path, source, columns, message_domain, message_salt, durability, priority, order_by)
			VALUES (?1, ?2, ?3, ?4, ?5, '[]', ?6, ?7, ?8, ?9, ?10) RETURNING id`,
			name, now, now, snap.Path, snap.Source, snap.MessageDomain, hex.EncodeToString(salt), snap.Durability, snap.Priority, snap.Order).Scan(&id)
		if err != nil {
			return 0, nil, err
		}
	case err != nil:
		return 0, nil, err
	case purged.Valid:
		return 0, nil, fmt.Errorf("campaign %q: %w", name, store.ErrPurged)
	default:
		if err := json.Unmarshal([]byte(stored), &columns); err != nil {
			return 0, nil, fmt.Errorf("campaign %q: columns: %w", name, err)
		}
		if started.Valid && !accept {
			changed, err := s.changed(ctx, id, sums)
			if err != nil {
				return 0, nil, err
			}
			if string(source) != string(snap.Source) {
				changed = append([]string{"the campaign file"}, changed...)
			}
			if len(changed) > 0 {
				return 0, nil, &store.ChangedError{Campaign: name, What: changed}
			}
		}
		if err := s.exec(ctx, "UPDATE campaign SET updated = ?1, path = ?2, source = ?3, durability = ?4, priority = ?5, order_by = ?6 WHERE id = ?7",
			now, snap.Path, snap.Source, snap.Durability, snap.Priority, snap.Order, id); err != nil {
			return 0, nil, err
		}
		if err := s.exec(ctx, "DELETE FROM snapshot WHERE campaign = ?1", id); err != nil {
			return 0, nil, err
		}
	}

	position = make([]int, len(snap.Columns))
	for i, column := range snap.Columns {
		if position[i] = slices.Index(columns, column); position[i] < 0 {
			position[i] = len(columns)
			columns = append(columns, column)
		}
	}
	if order != snap.Order {
		if err := s.rerank(ctx, id, snap, position); err != nil {
			return 0, nil, err
		}
	}
	encoded, err := json.Marshal(columns)
	if err != nil {
		return 0, nil, err
	}
	if err := s.exec(ctx, "UPDATE campaign SET columns = ?1 WHERE id = ?2", string(encoded), id); err != nil {
		return 0, nil, err
	}
	for path, content := range snap.Files {
		if err := s.exec(ctx, "INSERT INTO content (sha256, bytes) VALUES (?1, ?2) ON CONFLICT DO NOTHING", sums[path], nonNil(content)); err != nil {
			return 0, nil, err
		}
		if err := s.exec(ctx, "INSERT INTO snapshot (campaign, path, sha256) VALUES (?1, ?2, ?3)", id, path, sums[path]); err != nil {
			return 0, nil, err
		}
	}
	err = s.exec(ctx, "DELETE FROM content WHERE sha256 NOT IN (SELECT sha256 FROM snapshot)")
	return id, position, err
}

// changed lists the paths whose content differs from the stored snapshot's.
func (s *Store) changed(ctx context.Context, id int64, sums map[string]string) ([]string, error) {
	rows, err := s.writer.QueryContext(ctx, "SELECT path, sha256 FROM snapshot WHERE campaign = ?1", id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var changed []string
	stored := map[string]bool{}
	for rows.Next() {
		var path, sum string
		if err := rows.Scan(&path, &sum); err != nil {
			return nil, err
		}
		stored[path] = true
		if sums[path] != sum {
			changed = append(changed, path)
		}
	}
	for path := range sums {
		if !stored[path] {
			changed = append(changed, path)
		}
	}
	slices.Sort(changed)
	return changed, rows.Err()
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// nonNil keeps an empty file an empty blob: the driver stores a nil slice as NULL.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
