package cmd

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"mailblast/store"
	"mailblast/store/sqlite"
)

// What a run that died had removed but not cleaned is cleaned by the next one, also when that has nothing to remove.
func TestPurgeFinishesAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	s, err := sqlite.Open(t.Context(), path, true)
	if err != nil {
		t.Fatal(err)
	}
	lease, err := s.Acquire(t.Context(), "gone")
	if err != nil {
		t.Fatal(err)
	}
	none := func() (store.Recipient, error) { return store.Recipient{}, io.EOF }
	if _, err := lease.Load(t.Context(), store.Snapshot{Durability: "strict", Source: []byte("x")}, false, none); err != nil {
		t.Fatal(err)
	}
	if err := lease.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	lease.Release()
	s.Close()
	for _, want := range []string{"the queue's file was cleaned of what an earlier run had removed", "nothing to remove: no campaign"} {
		var said bytes.Buffer
		root := (&app{work: t.Context()}).rootCommand()
		root.SetErr(&said)
		root.SetArgs([]string{"purge", "--older-than", "90d", "--db", path, "--allow-network-fs"})
		if err := root.ExecuteContext(t.Context()); err != nil || !strings.Contains(said.String(), want) {
			t.Errorf("got %q, %v; want %q", said.String(), err, want)
		}
	}
}
