// Package sqlite keeps the queue in one SQLite file on this machine; package store says what a queue is.
//
// A file has one writer at a time, across all processes, and each writing method is one transaction. Beside the file lie the
// lock of each campaign, by which one process at a time has its Lease, and its mark (mark.go), by which a queue that has
// lost what was synced is known and refused.
package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-sqlite3"

	"mailblast/store"
)

//go:embed schema/*.sql
var schema embed.FS

// applicationID marks a file as a mailblast queue (PRAGMA application_id): "mblq".
const applicationID = 0x6d626c71

var _ store.Queue = (*Store)(nil)

// A Store is an open queue. Its methods may be called by many goroutines; writes are serialised.
type Store struct {
	path string

	mu         sync.Mutex // guards the writer and everything prepared on it
	writer     *sql.Conn
	prepared   map[string]*statement
	durability string // what the writer's synchronous pragma was last set for
	verified   bool   // the whole file was; see verify
	granted    int    // grants for domains since those that are over were forgotten

	writeDB, readDB *sql.DB
}

// Open opens the queue at path. With create, a queue that is not there is made, readable by its owner only (0600, in a
// folder 0700). From one that is there everybody's rights are taken away; a group that was let in stays in, and a folder that is
// there stays as it is. A file that is not a queue, is damaged, or was made by a newer version is refused and left as it is.
func Open(ctx context.Context, path string, create bool) (*Store, error) {
	// The lock files and SQLite's own lie beside the file itself, by whatever name it was called.
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if err := prepareFile(path, create); err != nil {
		return nil, err
	}
	if err := checkLog(path); err != nil {
		return nil, fmt.Errorf("queue %s: %w", path, err)
	}
	s := &Store{path: path, prepared: map[string]*statement{}, durability: "strict"}
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
	if err = s.patiently(opening, func() error { return s.migrate(ctx) }); err != nil {
		return err
	}
	// From here on who waits is asked every second whether to go on: see patiently.
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
	return errors.Join(errs...)
}

// prepareFile makes sure that there is a file that may be a queue. SQLite would make a missing one world-readable, and
// would take an empty one or a text file that happens to be there for a fresh database.
//
// Nor is a queue that was lost made anew: everybody in it would be sent to again. It has left its locks, or its log, and these are
// looked for first: whoever makes a queue at this moment makes them after the file.
func prepareFile(path string, create bool) error {
	was := wasThere(path)
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("queue %s: this is not a file; name one with --db", path)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if was {
			return lost(path, "the file is not there, and it was")
		}
		if !create {
			return fmt.Errorf("%w: %s", store.ErrNoQueue, path)
		}
		if err := makeFolder(filepath.Dir(path)); err != nil {
			return fmt.Errorf("queue: make its folder: %w", err)
		}
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return prepareFile(path, false) // another process was faster, or a symbolic link leads nowhere
		}
		if err != nil {
			return fmt.Errorf("queue: %w", err)
		}
		return f.Close()
	}
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	defer f.Close()
	head := make([]byte, 18)
	switch n, err := io.ReadFull(f, head); {
	case n == 0 && errors.Is(err, io.EOF):
		if was {
			return lost(path, "the file is empty, and it was not: it was left as it is")
		}
		return nil // made by a run that died before the schema was in it
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("queue %s: %w", path, err)
	case len(bytes.Trim(head[:n], "\x00")) == 0:
		return nil // the power went while it was made: the journal beside it takes it back; without one SQLite refuses the file
	case string(head[:min(n, 16)]) != "SQLite format 3\x00":
		return fmt.Errorf("queue %s: this is not a mailblast queue; it was left as it is. Name another file with --db", path)
	}
	return whole(f, pageSize(binary.BigEndian.Uint16(head[16:])))
}

// whole refuses a file that does not end with a page. SQLite would take what is missing for zeros. Beside a log or a journal that may be how
// a write was interrupted, which they mend.
func whole(f *os.File, pageSize int) error {
	for _, suffix := range []string{"-wal", "-journal"} {
		if info, err := os.Stat(f.Name() + suffix); err == nil && info.Size() > 0 {
			return nil
		}
	}
	info, err := f.Stat()
	if err == nil && pageSize > 0 && info.Size()%int64(pageSize) != 0 {
		err = errDamaged{"it does not end where a page does"}
	}
	if err != nil {
		return fmt.Errorf("queue %s: %w", f.Name(), err)
	}
	return nil
}

// wasThere says whether a queue's file has had something in it: a campaign's lock, and a log with content, are made only
// afterwards.
func wasThere(path string) bool {
	locks, _ := os.ReadDir(path + locksSuffix)
	log, err := os.Stat(path + "-wal")
	return len(locks) > 0 || err == nil && log.Size() > 0
}

func lost(path, how string) error {
	return fmt.Errorf("queue %s: %s. Put it back, or restore it from a backup; to begin anew, and send to everyone again, remove what is left of it: %s", path, how,
		strings.Join([]string{path, path + locksSuffix, path + "-wal", path + "-shm"}, ", "))
}

// makeFolder makes a folder and what is missing above it, so that they survive a power cut: SQLite syncs the folder of its
// files, but not the name of that folder in the one above.
func makeFolder(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeFolder(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.Open(parent)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// closeToOthers takes from everybody what only the owner, and perhaps a group, should be able to do with the queue's
// files. SQLite makes -wal and -shm with the rights of the file itself. Who is not the owner cannot change it.
func closeToOthers(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil || info.Mode().Perm()&0o007 == 0 {
			continue
		}
		if err := os.Chmod(path+suffix, info.Mode().Perm()&^0o007); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// migrate brings the schema to this version, one transaction a step, and refuses what it does not know.
func (s *Store) migrate(ctx context.Context) error {
	steps, err := fs.Glob(schema, "schema/*.sql")
	if err != nil {
		return err
	}
	marks, err := s.readMarks()
	if err != nil {
		return err
	}
	// Before the identity: another process may be making the queue, which gets its tables and its identity at the same moment.
	var tables int
	if err := s.writer.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	id, version, err := s.identity(ctx)
	if err != nil {
		return err
	}
	if version > len(steps) {
		return fmt.Errorf("it was made by a newer version of mailblast (schema %d, this one knows %d); it was left as it is. Use that version", version, len(steps))
	}
	if id != applicationID && tables > 0 {
		return errors.New("this SQLite database is not a mailblast queue; it was left as it is. Name another file with --db")
	}
	if err := s.checkMarks(ctx, marks, tables > 0); err != nil {
		return err
	}
	// A page of 8 KiB instead of 4 saves a tenth of the time of loading; a new file only is given it. SQLite counts the cache's pages by the
	// size that is known when it is told, so it is told then.
	if _, err := s.writer.ExecContext(ctx, "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA cache_size=-20000"); err != nil {
		return err
	}
	for ; version < len(steps); version++ {
		sql, err := schema.ReadFile(steps[version])
		if err != nil {
			return err
		}
		err = s.write(ctx, func(ctx context.Context) error {
			// Another process may have done it while this one waited for the lock.
			if _, now, err := s.identity(ctx); err != nil || now > version {
				return err
			}
			_, err := s.writer.ExecContext(ctx, fmt.Sprintf("%s; PRAGMA application_id=%d; PRAGMA user_version=%d", sql, applicationID, version+1))
			return err
		})
		if err != nil {
			return fmt.Errorf("schema %d: %w", version+1, err)
		}
	}
	return nil
}

func (s *Store) identity(ctx context.Context) (id, version int, err error) {
	if err = s.writer.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return 0, 0, err
	}
	err = s.writer.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	return id, version, err
}

// write runs do in one immediate transaction that is on the disk when write returns nil, waiting for other writers as long as ctx allows.
// The transaction itself is not cancelled half way: what is written down is worth more than a quick end.
func (s *Store) write(ctx context.Context, do func(context.Context) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writeAs(ctx, "strict", do)
}

// writeAs is write with a durability: "process" leaves the fsync to the operating system. The caller holds s.mu.
func (s *Store) writeAs(ctx context.Context, durability string, do func(context.Context) error) (err error) {
	// A context that can end makes the driver start a goroutine for every statement.
	plain := context.WithoutCancel(ctx)
	if durability != s.durability {
		mode := "FULL"
		if durability == "process" {
			mode = "NORMAL"
		}
		if err := s.exec(plain, "PRAGMA synchronous="+mode); err != nil {
			return err
		}
		s.durability = durability
	}
	if err := s.patiently(ctx, func() error { return s.exec(plain, "BEGIN IMMEDIATE") }); err != nil {
		return err
	}
	if durability == "process" {
		err = s.exec(plain, "UPDATE unsynced SET n = n + 1") // for checkLog
	}
	if err == nil {
		err = do(plain)
	}
	if err == nil {
		err = s.exec(plain, "COMMIT")
	}
	if err != nil {
		// After some errors SQLite has rolled back by itself, and says so; either way nothing is left open.
		_ = s.exec(plain, "ROLLBACK")
	}
	return err
}

// patiently does what another process may be in the way of, again and again for as long as ctx allows: somebody loads a large
// list, or holds the lock in a shell.
func (s *Store) patiently(ctx context.Context, do func() error) error {
	err := do()
	for busy(err) && ctx.Err() == nil {
		select { // SQLite has waited for a second, or knows that it is of no use at the moment
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
			err = do()
		}
	}
	if busy(err) {
		return fmt.Errorf("%w while another program held the queue", context.Cause(ctx))
	}
	return err
}

func busy(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.Code == sqlite3.ErrBusy || e.Code == sqlite3.ErrLocked)
}

// explain makes of SQLite's errors the contract's, and adds what a person can do about them.
func explain(err error) error {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case sqlite3.ErrNotADB, sqlite3.ErrCorrupt:
		return fmt.Errorf("%w: the file is damaged; it was left as it is. Restore it from a backup, or try `sqlite3 FILE .recover`", err)
	case sqlite3.ErrFull:
		err = fmt.Errorf("%w: make room on the disk and run the same command again", err)
	case sqlite3.ErrIoErr:
		err = fmt.Errorf("%w: the disk may be full or failing (the system's log knows more); mend that and run the same command again", err)
	case sqlite3.ErrReadonly, sqlite3.ErrCantOpen, sqlite3.ErrPerm:
		err = fmt.Errorf("%w: the queue and its folder must be writable", err)
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		err = fmt.Errorf("%w: another program holds the queue", err)
	}
	return &store.FaultError{Err: err, MayPass: e.Code == sqlite3.ErrFull || e.Code == sqlite3.ErrIoErr || busy(e)}
}

// Version is SQLite's.
func Version() string {
	version, _, _ := sqlite3.Version()
	return version
}
