package sqlite

import (
	"context"
	"time"

	"mailblast/store"
)

// Servers lists the servers of which something is known.
func (s *Store) Servers(ctx context.Context) ([]store.ServerState, error) { return s.servers(ctx, "") }

// Server is what is known about one; the zero value but for the name when that is nothing.
func (s *Store) Server(ctx context.Context, name string) (store.ServerState, error) {
	all, err := s.servers(ctx, name)
	if err != nil || len(all) == 0 {
		return store.ServerState{Name: name}, err
	}
	return all[0], nil
}

func (s *Store) servers(ctx context.Context, name string) ([]store.ServerState, error) {
	rows, err := s.readDB.QueryContext(ctx, "SELECT name, first, rate, connections, found, waits_for, waits_until FROM server WHERE name = ?1 OR ?1 = '' ORDER BY name", name)
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	var all []store.ServerState
	for rows.Next() {
		var v store.ServerState
		var first, found, until int64
		if err := rows.Scan(&v.Name, &first, &v.Rate, &v.Connections, &found, &v.WaitsFor, &until); err != nil {
			return nil, explain(err)
		}
		v.First, v.Found, v.WaitsUntil = fromMillis(first), fromMillis(found), fromMillis(until)
		all = append(all, v)
	}
	return all, explain(rows.Err())
}

// SaveServer writes down what was found out about a server; v.First, unless that is known already. It is not worth a
// sync: the next one, of something else, carries it along.
func (s *Store) SaveServer(ctx context.Context, v store.ServerState) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return explain(s.writeAs(ctx, "process", func(ctx context.Context) error {
		return s.exec(ctx, `INSERT INTO server (name, first, rate, connections, found, waits_for, waits_until) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
			ON CONFLICT DO UPDATE SET first = CASE first WHEN 0 THEN excluded.first ELSE first END, rate = excluded.rate, connections = excluded.connections,
			found = excluded.found, waits_for = excluded.waits_for, waits_until = excluded.waits_until`,
			v.Name, millis(v.First), v.Rate, v.Connections, millis(time.Now()), v.WaitsFor, millis(v.WaitsUntil))
	}))
}
