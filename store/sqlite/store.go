// Package sqlite keeps the queue in one SQLite file on this machine; package store says what a queue is.
//
// A file has one writer at a time, across all processes, and each writing method is one transaction. Beside the file lie the
// lock of each campaign, by which one process at a time has its Lease, and its mark (mark.go), by which a queue that has
// lost what was written down is known and refused.
package sqlite

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"mailblast/store"
)

//go:embed schema.sql
var schema string

// schemaVersion is the schema's (PRAGMA user_version). It goes up by one with each change; a queue of another version
// is refused.
const schemaVersion = 10

// applicationID marks a file as a mailblast queue (PRAGMA application_id): "mblq".
const applicationID = 0x6d626c71

var _ store.Queue = (*Store)(nil)

// A Store is an open queue. Its methods may be called by many goroutines; writes are serialised.
type Store struct {
	path string
	boot string // this start of the machine
	id   string // of the queue

	mu         sync.Mutex // guards the writer and everything prepared on it
	writer     *sql.Conn
	prepared   map[string]*statement
	durability string   // what the writer's synchronous pragma was last set for
	verified   bool     // the whole file was; see verify
	marks      *os.File // see mark.go; nil before the first one
	line       []byte   // of the mark
	granted    int      // grants for domains since those that are over were forgotten

	writeDB, readDB *sql.DB
}

// Open opens the queue at path. With create, a queue that is not there is made, readable by its owner only (0600, in a
// folder 0700). From one that is there everybody's rights are taken away; a group that was let in stays in, and a
// folder that is there stays as it is. A file that is not a queue, is damaged, or was made by a newer version is
// refused and left as it is.
func Open(ctx context.Context, path string, create bool) (*Store, error) {
	// The lock files and SQLite's own lie beside the file itself, by whatever name it was called.
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if err := prepareFile(path, create); err != nil {
		return nil, err
	}
	s := &Store{path: path, boot: bootID(), prepared: map[string]*statement{}, durability: "strict"}
	if err := s.open(ctx); err != nil {
		// To close it would fold what is left of a log into the file, and remove the log.
		if behind := (errBehind{}); !errors.As(err, &behind) {
			s.Close()
		}
		return nil, fmt.Errorf("queue %s: %w", path, explain(err))
	}
	return s, nil
}

// Path is the file's.
func (s *Store) Path() string { return s.path }

func (s *Store) open(ctx context.Context) (err error) {
	// An absolute path, escaped: a question mark in a file name is not the start of the parameters.
	abs, err := filepath.Abs(s.path)
	if err != nil {
		return err
	}
	name := (&url.URL{Scheme: "file", Path: abs}).String()
	if s.writeDB, err = sql.Open("sqlite3", name+"?mode=rw&_busy_timeout=10000&_txlock=immediate&_foreign_keys=on&_synchronous=FULL&_mutex=no"); err != nil {
		return err
	}
	if s.writer, err = s.writeDB.Conn(ctx); err != nil {
		return err
	}
	// macOS leaves what was synced in the disk's own cache unless told otherwise; elsewhere these do nothing.
	// https://sqlite.org/pragma.html#pragma_fullfsync
	for _, query := range []string{"PRAGMA fullfsync=ON", "PRAGMA checkpoint_fullfsync=ON"} {
		if err = s.exec(ctx, query); err != nil {
			return err
		}
	}
	// What the file is comes before anything that could change it: journal_mode=WAL rewrites the header.
	// SQLite does not wait where two processes make the queue at the same moment: one of them begins again.
	opening, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errors.New("it could not be opened"))
	defer cancel()
	if err = s.retryBusy(opening, func() error { return s.prepare(ctx) }); err != nil {
		return err
	}
	// From here on who waits is asked every second whether to go on: see retryBusy.
	if err = s.pragma(ctx, "PRAGMA busy_timeout=1000"); err != nil {
		return err
	}
	if err = s.exec(ctx, "PRAGMA cell_size_check=ON"); err != nil {
		return err
	}
	if err = closeToOthers(abs); err != nil {
		return err
	}
	s.readDB, err = sql.Open("sqlite3", name+"?mode=rw&_busy_timeout=10000&_query_only=on&_cache_size=-4000&_mutex=no")
	return err
}

// Close closes the queue. The last process to close it also folds the write-ahead log back into the file.
func (s *Store) Close() error {
	var errs []error
	if s.readDB != nil {
		errs = append(errs, s.readDB.Close())
	}
	for _, st := range s.prepared {
		errs = append(errs, st.prepared.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.Close())
	}
	if s.writeDB != nil {
		errs = append(errs, s.writeDB.Close())
	}
	if s.marks != nil {
		errs = append(errs, s.marks.Close())
	}
	return errors.Join(errs...)
}

// prepare refuses a file that is not a queue of this version, or has lost something, and makes the queue in one that is
// empty.
func (s *Store) prepare(ctx context.Context) error {
	marks, err := s.readMarks()
	if err != nil {
		return err
	}
	// Before the identity: another process may be making the queue, which gets its tables and its identity at the same
	// moment.
	var tables int
	if err := s.writer.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	application, version, err := s.identity(ctx)
	switch {
	case err != nil:
		return err
	case version > schemaVersion:
		return fmt.Errorf("it was made by a newer version of mailblast (schema %d, this one knows %d); it was left as it is. Use that version", version, schemaVersion)
	case application != applicationID && tables > 0:
		return errors.New("this SQLite database is not a mailblast queue; it was left as it is. Name another file with --db")
	case version < schemaVersion && tables > 0:
		return fmt.Errorf("it was made by an older version of mailblast (schema %d, this one knows %d alone); it was left as it is. "+
			"Send what is left in it, and report on it, with that version, and name another file with --db for this one", version, schemaVersion)
	}
	if tables > 0 {
		if err := s.readID(ctx); err != nil {
			return err
		}
	}
	if err := s.checkMarks(ctx, marks, tables > 0); err != nil {
		return err
	}
	// A page of 8 KiB instead of 4 saves a tenth of the time of loading; a new file only is given it. SQLite counts the
	// cache's pages by the size that is known when it is told, so it is told then.
	if _, err := s.writer.ExecContext(ctx, "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA cache_size=-20000"); err != nil {
		return err
	}
	if tables > 0 {
		return nil
	}
	err = s.transaction(ctx, "strict", func(ctx context.Context) error {
		// Another process may have done it while this one waited for the lock.
		if _, version, err := s.identity(ctx); err != nil || version == schemaVersion {
			return err
		}
		_, err := s.writer.ExecContext(ctx, fmt.Sprintf("%s; PRAGMA application_id=%d; PRAGMA user_version=%d", schema, applicationID, schemaVersion))
		return err
	})
	if err != nil {
		return fmt.Errorf("schema %d: %w", schemaVersion, err)
	}
	return s.readID(ctx)
}

func (s *Store) readID(ctx context.Context) error {
	return s.writer.QueryRowContext(ctx, "SELECT id FROM queue").Scan(&s.id)
}

func (s *Store) identity(ctx context.Context) (application, version int, err error) {
	if err = s.writer.QueryRowContext(ctx, "PRAGMA application_id").Scan(&application); err != nil {
		return 0, 0, err
	}
	err = s.writer.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	return application, version, err
}
