package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailblast/sender/sink"
)

// A damaged queue, or one that has lost its write-ahead log, is refused by every command that would change it, and left
// as it is.
func TestDamagedQueue(t *testing.T) {
	t.Parallel()
	var p *process
	ready := make(chan struct{})
	port, w := startSink(t, sink.Options{OnAccept: atMessage(20, ready, func() { p.signal(os.Kill) })})
	s := newSite(t, port)
	recipients := s.small(60, 10, plainSMTP)
	p = s.process("send", "small.yaml")
	close(ready)
	p.start()
	p.Wait()
	files := map[string][]byte{}
	for _, name := range queueFiles {
		files[name] = []byte(s.read(name))
	}
	before := w.count()
	for _, test := range []struct {
		name, want string
		damage     func(files map[string][]byte)
	}{
		{"log removed", "write-ahead log", func(f map[string][]byte) { delete(f, "queue.db-wal") }},
		{"log cut", "write-ahead log", func(f map[string][]byte) { f["queue.db-wal"] = f["queue.db-wal"][:len(f["queue.db-wal"])/2] }},
		{"log flipped", "write-ahead log", func(f map[string][]byte) { f["queue.db-wal"][len(f["queue.db-wal"])/3] ^= 1 }},
		// The log's index, which SQLite makes anew, is older than the start of the machine, or gone.
		{"log flipped, old index", "write-ahead log", func(f map[string][]byte) { f["queue.db-wal"][len(f["queue.db-wal"])/4] ^= 1 }},
		{"log flipped, no index", "write-ahead log", func(f map[string][]byte) { f["queue.db-wal"][len(f["queue.db-wal"])/4] ^= 1; delete(f, "queue.db-shm") }},
		{"header flipped, no index", "write-ahead log", func(f map[string][]byte) { f["queue.db-wal"][9] ^= 1; delete(f, "queue.db-shm") }},
		{"log cut, no index", "older than it was", func(f map[string][]byte) {
			f["queue.db-wal"] = f["queue.db-wal"][:len(f["queue.db-wal"])/2]
			delete(f, "queue.db-shm")
		}},
		{"log removed, no index", "older than it was", func(f map[string][]byte) { delete(f, "queue.db-wal"); delete(f, "queue.db-shm") }},
		{"not a queue any more", "not a mailblast queue", func(f map[string][]byte) { f["queue.db"][3] ^= 1 }},
		{"emptied", "the file is empty", func(f map[string][]byte) { f["queue.db"] = nil }},
	} {
		damaged := map[string][]byte{}
		for name, content := range files {
			damaged[name] = bytes.Clone(content)
		}
		test.damage(damaged)
		s.lay(damaged)
		if strings.HasSuffix(test.name, "old index") {
			if err := os.Chtimes(filepath.Join(s.dir, "queue.db-shm"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
		}
		for _, args := range [][]string{{"send", "small.yaml"}, {"resume"}, {"report"}} {
			if code, out := s.output(args...); code != 2 || !strings.Contains(string(out), test.want) || strings.Contains(string(out), "goroutine") {
				t.Errorf("%s: %s: exit code %d; want 2 and %q\n%s", test.name, args[0], code, test.want, out)
			}
			for name, content := range damaged {
				if name == "queue.db-shm" {
					continue // SQLite makes it anew whenever it looks
				}
				if after, err := os.ReadFile(filepath.Join(s.dir, name)); err != nil || !bytes.Equal(after, content) {
					t.Errorf("%s: %s has changed %s (%v)", test.name, args[0], name, err)
				}
			}
		}
	}
	if w.count() != before {
		t.Errorf("%d recipients were sent to", w.count()-before)
	}
	s.lay(files)
	if code := s.run("resume"); code != 0 && code != 3 {
		t.Errorf("as it was: exit code %d", code)
	}
	s.judge(w, recipients)
}

// queueFiles are the queue, its write-ahead log, and the index of that.
var queueFiles = []string{"queue.db", "queue.db-wal", "queue.db-shm"}

// lay puts these in the place of the queue's files.
func (s *site) lay(files map[string][]byte) {
	s.t.Helper()
	for _, name := range queueFiles {
		path := filepath.Join(s.dir, name)
		os.Remove(path)
		if content, ok := files[name]; ok {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}
