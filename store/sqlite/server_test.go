package sqlite

import (
	"database/sql"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"mailblast/store"
)

// A queue whose servers were kept by port: what was used up over the ports of one account is added up, and what was found out slower counts.
func TestServersByPort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	if err := prepareFile(path, true); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := fs.Glob(schema, "schema/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	last := slices.Index(steps, "schema/009_limits.sql")
	do := func(query string, args ...any) {
		t.Helper()
		if _, err := db.Exec(query, args...); err != nil {
			t.Fatal(query, err)
		}
	}
	for _, step := range steps[:last] {
		query, err := schema.ReadFile(step)
		if err != nil {
			t.Fatal(err)
		}
		do(string(query))
	}
	do(fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d", applicationID, last))
	now := time.Now().Truncate(time.Hour)
	at := func(ago time.Duration) int64 { return now.Add(-ago).UnixMilli() }
	const day = 24 * time.Hour
	for _, v := range []struct {
		name        string
		first       time.Duration // ago; 0: never
		rate        float64
		connections int
		found       time.Duration
		waits       string
	}{
		{"mx.example.com:25 ada", 5 * day, 7, 0, 2 * day, "it was down"},
		{"mx.example.com:587 ada", 9 * day, 9, 4, time.Hour, ""},
		{"mx.example.com:2525 ada", 0, 1, 2, 50 * day, "too long ago"},
		{"mx.example.com:587", 0, 3, 0, day, "full"},
		{"mx.example.com:587 ada from 192.0.2.1", 0, 0, 0, day, ""},
		{"[2001:db8::1]:465 a from b", 0, 2, 0, day, ""},
		{"127.0.0.1:25", 0, 4, 0, day, ""},
		{"127.0.0.1:1025", 0, 5, 0, day, ""},
		{"[::1]:1025 ada", 0, 6, 0, day, ""},
		{"localhost:25", 0, 8, 0, day, ""},
		{"127.example.com:25", 0, 11, 0, day, ""},
	} {
		first := int64(0)
		if v.first > 0 {
			first = at(v.first)
		}
		do("INSERT INTO server (name, first, rate, connections, found, waits_for) VALUES (?, ?, ?, ?, ?, ?)", v.name, first, v.rate, v.connections, at(v.found), v.waits)
	}
	for _, v := range []struct {
		name string
		ago  time.Duration
		n    int
	}{
		{"mx.example.com:25 ada", 2 * time.Hour, 10},
		{"mx.example.com:587 ada", 2 * time.Hour, 20},
		{"mx.example.com:587 ada", 2*time.Hour - 5*time.Minute, 1},
		{"mx.example.com:587 ada", 3 * day, 300},
		{"mx.example.com:465 ada", time.Hour, 4},
		{"127.0.0.1:1025", time.Hour, 50},
	} {
		do("INSERT INTO usage (server, at, n) VALUES (?, ?, ?)", v.name, at(v.ago), v.n)
	}
	do("INSERT INTO pace (server, domain, per, used) VALUES ('mx.example.com:25 ada', 'gmail.com', 3600000, 5), ('mx.example.com:587 ada', 'gmail.com', 3600000, 7), ('127.0.0.1:25', '', 1000, 9)")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	s, err := Open(t.Context(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all, err := s.Servers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, v := range all {
		first := time.Duration(0)
		if !v.First.IsZero() {
			first = now.Sub(v.First)
		}
		got[v.Name] = fmt.Sprintf("since %v, %v/s, %d connections, found %v ago; %q", first, v.Rate, v.Connections, now.Sub(v.Found), v.WaitsFor)
	}
	want := map[string]string{
		"mx.example.com ada":                `since 216h0m0s, 7/s, 4 connections, found 1h0m0s ago; ""`,
		"mx.example.com":                    `since 0s, 3/s, 0 connections, found 24h0m0s ago; "full"`,
		"mx.example.com ada from 192.0.2.1": `since 0s, 0/s, 0 connections, found 24h0m0s ago; ""`,
		"2001:db8::1 a from b":              `since 0s, 2/s, 0 connections, found 24h0m0s ago; ""`,
		"127.0.0.1:25":                      `since 0s, 4/s, 0 connections, found 24h0m0s ago; ""`,
		"127.0.0.1:1025":                    `since 0s, 5/s, 0 connections, found 24h0m0s ago; ""`,
		"[::1]:1025 ada":                    `since 0s, 6/s, 0 connections, found 24h0m0s ago; ""`,
		"localhost:25":                      `since 0s, 8/s, 0 connections, found 24h0m0s ago; ""`,
		"127.example.com":                   `since 0s, 11/s, 0 connections, found 24h0m0s ago; ""`,
	}
	for name, v := range want {
		if got[name] != v {
			t.Errorf("%s: %s, want %s", name, got[name], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	for _, c := range []struct {
		server string
		per    time.Duration
		used   int
	}{
		{"mx.example.com ada", 90 * time.Minute, 4},
		{"mx.example.com ada", day, 35},
		{"mx.example.com ada", 7 * day, 335},
		{"127.0.0.1:1025", day, 50},
		{"127.0.0.1:25", day, 0},
		{"mx.example.com", day, 0},
	} {
		left, _, err := s.Left(t.Context(), c.server, store.Rate{N: 1000, Per: c.per}, now)
		if err != nil || 1000-left != c.used {
			t.Errorf("%s in %v: %d are used up, %v, want %d", c.server, c.per, 1000-left, err, c.used)
		}
	}
	if used, err := s.bucketUsed(t.Context(), "mx.example.com ada", "gmail.com", time.Hour); err != nil || used.UnixMicro() != 7 {
		t.Errorf("got %v, %v", used, err)
	}
	if used, err := s.bucketUsed(t.Context(), "127.0.0.1:25", "", time.Second); err != nil || used.UnixMicro() != 9 {
		t.Errorf("got %v, %v", used, err)
	}
}
