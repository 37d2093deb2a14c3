package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"mailblast/store"
)

// prepareFile makes sure that there is a file that may be a queue. SQLite would make a missing one world-readable, and
// would take an empty one or a text file that happens to be there for a fresh database.
//
// Nor is a queue that was lost made anew: everybody in it would be sent to again. It has left its locks, or its log,
// and these are looked for first: whoever makes a queue at this moment makes them after the file.
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

// whole refuses a file that does not end with a page. SQLite would take what is missing for zeros. Beside a log or a
// journal that may be how a write was interrupted, which they mend.
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

// pageSize is the size that two octets of a header mean.
func pageSize(n uint16) int {
	if n == 1 {
		return 1 << 16
	}
	return int(n)
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
