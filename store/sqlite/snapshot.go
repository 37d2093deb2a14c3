package sqlite

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"mailblast/store"
)

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

// saveSnapshot writes a campaign's snapshot, inside the caller's transaction, and returns the campaign's id and how the
// CSV's columns map to the positions of the stored rows. A snapshot that differs from the one that has begun to be sent
// is a ChangedError, unless accept.
func (s *Store) saveSnapshot(ctx context.Context, name string, snap store.Snapshot, accept bool) (id int64, position []int, err error) {
	sums := map[string]string{}
	for path, content := range snap.Files {
		sums[path] = digest(content)
	}
	was, err := s.storedCampaign(ctx, name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		was.id, err = s.insertCampaign(ctx, name, snap)
	case err == nil && was.started && !accept:
		if err = s.refuseChanged(ctx, name, was, snap, sums); err == nil {
			err = s.updateCampaign(ctx, was.id, snap)
		}
	case err == nil:
		err = s.updateCampaign(ctx, was.id, snap)
	}
	if err != nil {
		return 0, nil, err
	}
	position = make([]int, len(snap.Columns))
	for i, column := range snap.Columns {
		if position[i] = slices.Index(was.columns, column); position[i] < 0 {
			position[i] = len(was.columns)
			was.columns = append(was.columns, column)
		}
	}
	if was.order != snap.Order {
		if err := s.rerank(ctx, was.id, snap, position); err != nil {
			return 0, nil, err
		}
	}
	encoded, err := json.Marshal(was.columns)
	if err != nil {
		return 0, nil, err
	}
	if err := s.exec(ctx, "UPDATE campaign SET columns = ?1 WHERE id = ?2", string(encoded), was.id); err != nil {
		return 0, nil, err
	}
	return was.id, position, s.saveFiles(ctx, was.id, snap.Files, sums)
}

// A storedCampaign is what the queue has of one that is loaded again.
type storedCampaign struct {
	id      int64
	started bool
	source  []byte
	columns []string
	order   string
}

// storedCampaign reads a campaign, inside the caller's transaction. ErrPurged where nothing may be loaded into it any more.
func (s *Store) storedCampaign(ctx context.Context, name string) (was storedCampaign, err error) {
	var purged bool
	var columns string
	row := s.writer.QueryRowContext(ctx, "SELECT id, started IS NOT NULL, purged IS NOT NULL, source, columns, order_by FROM campaign WHERE name = ?1", name)
	if err := row.Scan(&was.id, &was.started, &purged, &was.source, &columns, &was.order); err != nil {
		return was, err
	}
	if purged {
		return was, fmt.Errorf("campaign %q: %w", name, store.ErrPurged)
	}
	if err := json.Unmarshal([]byte(columns), &was.columns); err != nil {
		return was, fmt.Errorf("campaign %q: columns: %w", name, err)
	}
	return was, nil
}

func (s *Store) insertCampaign(ctx context.Context, name string, snap store.Snapshot) (id int64, err error) {
	salt := make([]byte, 8)
	if _, err := rand.Read(salt); err != nil {
		return 0, err
	}
	now := millis(time.Now())
	row := s.writer.QueryRowContext(ctx, `INSERT INTO campaign (name, created, updated, path, source, columns, message_domain, message_salt, durability, priority, order_by)
		VALUES (?1, ?2, ?3, ?4, ?5, '[]', ?6, ?7, ?8, ?9, ?10) RETURNING id`,
		name, now, now, snap.Path, snap.Source, snap.MessageDomain, hex.EncodeToString(salt), snap.Durability, snap.Priority, snap.Order)
	err = row.Scan(&id)
	return id, err
}

// updateCampaign takes over a snapshot, but for its columns and files, and forgets which files there were.
func (s *Store) updateCampaign(ctx context.Context, id int64, snap store.Snapshot) error {
	if err := s.exec(ctx, "UPDATE campaign SET updated = ?1, path = ?2, source = ?3, durability = ?4, priority = ?5, order_by = ?6 WHERE id = ?7",
		millis(time.Now()), snap.Path, snap.Source, snap.Durability, snap.Priority, snap.Order, id); err != nil {
		return err
	}
	return s.exec(ctx, "DELETE FROM snapshot WHERE campaign = ?1", id)
}

// saveFiles writes down the files of a campaign that has none, and forgets those that no campaign has.
func (s *Store) saveFiles(ctx context.Context, id int64, files map[string][]byte, sums map[string]string) error {
	for path, content := range files {
		if err := s.exec(ctx, "INSERT INTO content (sha256, bytes) VALUES (?1, ?2) ON CONFLICT DO NOTHING", sums[path], nonNil(content)); err != nil {
			return err
		}
		if err := s.exec(ctx, "INSERT INTO snapshot (campaign, path, sha256) VALUES (?1, ?2, ?3)", id, path, sums[path]); err != nil {
			return err
		}
	}
	return s.exec(ctx, "DELETE FROM content WHERE sha256 NOT IN (SELECT sha256 FROM snapshot)")
}

// refuseChanged is a ChangedError where a snapshot is not the one that was begun to be sent.
func (s *Store) refuseChanged(ctx context.Context, name string, was storedCampaign, snap store.Snapshot, sums map[string]string) error {
	changed, err := s.changed(ctx, was.id, sums)
	if err != nil {
		return err
	}
	if !bytes.Equal(was.source, snap.Source) {
		changed = append([]string{"the campaign file"}, changed...)
	}
	if len(changed) > 0 {
		return &store.ChangedError{Campaign: name, What: changed}
	}
	return nil
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
