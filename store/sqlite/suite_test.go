package sqlite

import (
	"path/filepath"
	"testing"

	"mailblast/store"
	"mailblast/store/storetest"
)

// A file is where the suite keeps a queue.
type file struct {
	path   string
	unsafe bool // nobody cuts the power
}

func (f file) Open(t testing.TB) store.Queue {
	t.Helper()
	s, err := Open(t.Context(), f.path, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if f.unsafe {
		if err := s.exec(t.Context(), "PRAGMA synchronous=OFF"); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// Die gives up what the operating system takes from a process that dies, and nothing else.
func (f file) Die(t testing.TB, l store.Lease) {
	t.Helper()
	if err := l.(*Lease).lock.Unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Place { return file{path: filepath.Join(t.TempDir(), "queue.db")} })
}

func TestLimits(t *testing.T) {
	storetest.Limits(t, func(t testing.TB) storetest.Place {
		return file{path: filepath.Join(t.TempDir(), "queue.db"), unsafe: true}
	})
}
