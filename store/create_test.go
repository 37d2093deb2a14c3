package store

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A power cut may tear the first page of a queue that is being made. The journal that SQLite has synced before says that
// there was nothing.
func TestOpenTornWhileMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.db")
	journal := binary.BigEndian.AppendUint64(nil, 0xd9d505f920a163d7)
	for _, field := range []uint32{0, 1, 0, 512, 4096} { // pages in it, nonce, pages of the file before, sector, page
		journal = binary.BigEndian.AppendUint32(journal, field)
	}
	journal = append(journal, make([]byte, 512-len(journal))...)
	for name, content := range map[string][]byte{path: make([]byte, 4096), path + "-journal": journal} {
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
		t.Errorf("got %v, %v", all, err)
	}
}

func TestOpenRefusesZeros(t *testing.T) {
	for _, size := range []int{10, 4096} {
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
