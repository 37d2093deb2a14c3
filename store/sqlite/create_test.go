package sqlite

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"mailblast/store"
)

// A power cut may tear the first page of a queue that is being made. The journal that SQLite has synced before says that
// there was nothing.
func TestOpenTornWhileMade(t *testing.T) {
	for _, page := range []uint32{4096, 8192} {
		path := filepath.Join(t.TempDir(), "q.db")
		journal := binary.BigEndian.AppendUint64(nil, 0xd9d505f920a163d7)
		for _, field := range []uint32{0, 1, 0, 512, page} { // pages in it, nonce, pages of the file before, sector, page
			journal = binary.BigEndian.AppendUint32(journal, field)
		}
		journal = append(journal, make([]byte, 512-len(journal))...)
		for name, content := range map[string][]byte{path: make([]byte, page), path + "-journal": journal} {
			if err := os.WriteFile(name, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Open(t.Context(), path, false)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if all, err := s.Campaigns(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("pages of %d octets: got %v, %v", page, all, err)
		}
	}
}

// Several processes may make a queue at the same moment, as when one looks at a run that has just begun.
func TestOpenAtTheSameTime(t *testing.T) {
	for range 30 {
		path := filepath.Join(t.TempDir(), "q.db")
		var opening sync.WaitGroup
		for range 6 {
			opening.Go(func() {
				s, err := Open(t.Context(), path, true)
				if err != nil {
					t.Error(err)
					return
				}
				s.Close()
			})
		}
		opening.Wait()
	}
}

func TestOpenRefusesZeros(t *testing.T) {
	for _, size := range []int{10, 4096, 8192} {
		path := filepath.Join(t.TempDir(), "q.db")
		content := make([]byte, size)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), path, true)
		if err == nil {
			s.Close()
			t.Fatal("opened")
		}
		if !strings.Contains(err.Error(), "left as it") {
			t.Errorf("got %q", err)
		}
		if after, _ := os.ReadFile(path); !slices.Equal(after, content) {
			t.Error("the file was changed")
		}
	}
}

// A queue that was lost is not made anew, whoever asks for it, and what is left of it says so.
func TestOpenRefusesLost(t *testing.T) {
	for _, left := range []string{"-wal", ".locks/0123456789abcdef"} {
		for _, create := range []bool{true, false} {
			path := filepath.Join(t.TempDir(), "q.db")
			if err := os.MkdirAll(filepath.Dir(path+left), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path+left, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), path, create)
			if err == nil {
				s.Close()
				t.Fatalf("%s, %v: opened", left, create)
			}
			if errors.Is(err, store.ErrNoQueue) || !strings.Contains(err.Error(), "restore it from a backup") || !strings.Contains(err.Error(), path+".locks") {
				t.Errorf("%s, %v: %v", left, create, err)
			}
			if _, err := os.Stat(path); err == nil {
				t.Errorf("%s, %v: the file was made", left, create)
			}
		}
	}
}

func TestFullSync(t *testing.T) {
	s := open(t)
	for _, pragma := range []string{"fullfsync", "checkpoint_fullfsync"} {
		var on bool
		if err := s.writer.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&on); err != nil || !on {
			t.Errorf("%s: %v, %v", pragma, on, err)
		}
	}
}
