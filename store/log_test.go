package store

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// parts are the files of a queue; the first is the queue itself.
var parts = []string{"", "-wal", "-shm"}

// interrupted is a queue as the death of its process leaves it: three of twenty sent, two being sent, the log not folded.
func interrupted(t testing.TB) map[string][]byte {
	t.Helper()
	s, l := loaded(t, 20)
	jobs := claim(t, l, 5)
	for _, j := range jobs[:3] {
		record(t, l, []Job{j})
		record(t, l, nil, Outcome{Job: j, State: Sent, Code: 250})
	}
	record(t, l, jobs[3:])
	return filesOf(t, s.Path())
}

func filesOf(t testing.TB, path string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, part := range parts {
		if content, err := os.ReadFile(path + part); err == nil {
			files[part] = content
		}
	}
	return files
}

// laid writes the files of a queue into a folder of their own.
func laid(t testing.TB, files map[string][]byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "queue.db")
	for part, content := range files {
		if err := os.WriteFile(path+part, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// A write-ahead log that has lost what its index knows is refused, and nothing is touched: SQLite would go on with an earlier
// state, and who was sent to since would be sent to again.
func TestLostLog(t *testing.T) {
	good := interrupted(t)
	wal := good["-wal"]
	frame := 24 + int(binary.BigEndian.Uint32(wal[8:])) // page size
	last := len(wal) - (len(wal)-32)%frame - frame
	flipped := func(at int) func(files map[string][]byte) {
		return func(files map[string][]byte) { files["-wal"][at] ^= 0x10 }
	}
	cut := func(n int) func(files map[string][]byte) {
		return func(files map[string][]byte) { files["-wal"] = files["-wal"][:n] }
	}
	// A log that has one more frame, as a process leaves it that dies while it writes.
	torn := func(files map[string][]byte) {
		x, _, _ := readIndex(laid(t, files) + "-shm")
		end := 32 + int(x.frames)*frame
		files["-wal"] = append(slices.Clone(files["-wal"][:end]), bytes.Repeat([]byte("torn"), 100)...)
		copy(files["-wal"][end+8:], x.salt[:])
	}
	for _, test := range []struct {
		name    string
		damage  func(files map[string][]byte)
		refused bool
	}{
		{"as it was", func(map[string][]byte) {}, false},
		{"torn at the end", torn, false},
		{"removed", func(files map[string][]byte) { delete(files, "-wal") }, true},
		{"emptied", cut(0), true},
		{"cut in its header", cut(20), true},
		{"cut in half", cut(len(wal) / 2), true},
		{"cut by one frame", cut(last), true},
		{"cut by a byte", cut(last + frame - 1), true},
		{"flipped in its header", flipped(9), true},
		{"flipped in its salt", flipped(17), true},
		{"flipped in the first frame", flipped(32 + 24 + 1000), true},
		{"flipped in the last frame", flipped(last + frame - 1), true},
		{"flipped in a frame's head", flipped(32 + 5*frame + 1), true},
		{"of an earlier time", func(files map[string][]byte) { files["-wal"] = interrupted(t)["-wal"] }, true},
		{"cut, and no index to know it", func(files map[string][]byte) { cut(last)(files); delete(files, "-shm") }, false},
		{"cut, and the index is not finished", func(files map[string][]byte) { cut(last)(files); files["-shm"][16]++ }, false},
		{"cut, and the index is empty", func(files map[string][]byte) { cut(last)(files); files["-shm"] = nil }, false},
		{"removed, and all of it is in the queue", func(files map[string][]byte) {
			delete(files, "-wal")
			copy(files["-shm"][96:100], files["-shm"][16:20])
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := map[string][]byte{}
			for part, content := range good {
				files[part] = slices.Clone(content)
			}
			test.damage(files)
			path := laid(t, files)
			s, err := Open(t.Context(), path, true)
			if err == nil {
				s.Close()
			}
			if test.refused != (err != nil) {
				t.Fatalf("got %v", err)
			}
			if !test.refused {
				return
			}
			if !strings.Contains(err.Error(), "write-ahead log") || !strings.Contains(err.Error(), "Restore") && !strings.Contains(err.Error(), "restore") {
				t.Errorf("got %v", err)
			}
			for part, content := range filesOf(t, path) {
				if !bytes.Equal(content, files[part]) {
					t.Errorf("queue.db%s was changed", part)
				}
			}
		})
	}
}

// After a reboot the index proves nothing: the log may have lost what was not synced, and rightly so.
func TestIndexOfAnEarlierStart(t *testing.T) {
	files := interrupted(t)
	files["-wal"] = files["-wal"][:len(files["-wal"])/2]
	path := laid(t, files)
	booted, ok := bootTime()
	if !ok {
		return // then no index is ever looked at
	}
	before := booted.Add(-time.Hour)
	if err := os.Chtimes(path+"-shm", before, before); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// While processes write and fold the log, others open the queue.
func TestOpenWhileWritten(t *testing.T) {
	s, l := loaded(t, 150)
	done := make(chan error)
	go func() {
		for {
			jobs, err := l.Claim(t.Context(), 1)
			if err == nil && len(jobs) == 1 {
				_, err = l.Record(t.Context(), jobs, nil)
			}
			if err != nil || len(jobs) == 0 {
				done <- err
				return
			}
		}
	}()
	for n := 0; ; n++ {
		if err := checkLog(s.Path()); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			if n == 0 {
				t.Error("it was never looked at")
			}
			return
		default:
		}
	}
}

// Whatever is in the three files, opening them ends without a panic.
func FuzzLog(f *testing.F) {
	good := interrupted(f)
	f.Add(good["-wal"][:min(len(good["-wal"]), 9000)], good["-shm"][:136])
	f.Add([]byte{}, []byte{})
	f.Add([]byte("garbage"), bytes.Repeat([]byte{0}, 136))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, wal, shm []byte) {
		path := filepath.Join(dir, "queue.db")
		// An index that is finished: chance would not find its checksum.
		if len(shm) >= 100 {
			native := binary.NativeEndian
			native.PutUint32(shm, 3007000)
			sum := logSum{order: native}
			sum.add(shm[:40])
			native.PutUint32(shm[40:], sum.a)
			native.PutUint32(shm[44:], sum.b)
			copy(shm[48:96], shm[:48])
		}
		for part, content := range map[string][]byte{"-wal": wal, "-shm": shm} {
			if err := os.WriteFile(path+part, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_ = checkLog(path)
	})
}
