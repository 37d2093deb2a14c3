package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
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
