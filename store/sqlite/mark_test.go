package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailblast/store"
	"mailblast/store/storetest"
)

// parts are the files of a queue; the first is the queue itself.
var parts = []string{"", "-wal", "-shm", locksSuffix + "/" + markName}

const markPart = locksSuffix + "/" + markName

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
	if err := os.Mkdir(path+locksSuffix, 0o700); err != nil {
		t.Fatal(err)
	}
	for part, content := range files {
		if err := os.WriteFile(path+part, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// rebooted is a mark as it is found after the machine was started again.
func rebooted(file []byte) (after []byte) {
	for _, m := range parseMarks(file) {
		if m.boot != "" {
			m.boot = "an-earlier-start"
		}
		after = appendMark(after, m)
	}
	return after
}

// A kept queue is what a test did to one, transaction by transaction.
type kept struct {
	files []map[string][]byte // after each transaction
	ends  []int               // of the log
}

// run loads 30 recipients, claims them, begins some, ends some, and suppresses somebody; what its campaign's durability is.
func run(t *testing.T, durability string) (k kept) {
	s := open(t)
	l := acquire(t, s, "test")
	keep := func() {
		k.files = append(k.files, filesOf(t, s.Path()))
		k.ends = append(k.ends, logEnd(t, s))
	}
	snap := storetest.Snapshot
	snap.Durability = durability
	if _, err := l.Load(t.Context(), snap, false, storetest.List(30)); err != nil {
		t.Fatal(err)
	}
	keep()
	jobs := claim(t, l, 30)
	keep()
	for i, j := range jobs[:10] {
		record(t, l, []store.Job{j})
		keep()
		if i%2 == 0 {
			record(t, l, nil, store.Outcome{Job: j, State: store.Sent, Code: 250})
			keep()
		}
	}
	suppress(t, s, "user29@example.com")
	keep()
	return k
}

// logEnd is where the write-ahead log ends.
func logEnd(t *testing.T, s *Store) int {
	t.Helper()
	var busy, frames, folded int
	if err := s.writer.QueryRowContext(t.Context(), "PRAGMA wal_checkpoint(NOOP)").Scan(&busy, &frames, &folded); err != nil {
		t.Fatal(err)
	}
	return 32 + frames*(24+8192)
}

// Who would be sent to again, or for the first time though he is on the suppression list, by a queue that SQLite opens as if
// nothing had been lost. The mark refuses it.
func TestLoss(t *testing.T) {
	for _, durability := range []string{"strict", "process"} {
		k := run(t, durability)
		last := len(k.files) - 1
		good := k.files[last]
		middle := k.ends[len(k.ends)/2]
		flip := func(at int) func(map[string][]byte) {
			return func(files map[string][]byte) { files["-wal"][at] ^= 0x10 }
		}
		cut := func(at int) func(map[string][]byte) {
			return func(files map[string][]byte) { files["-wal"] = files["-wal"][:at] }
		}
		for _, test := range []struct {
			name   string
			damage func(files map[string][]byte)
			fails  bool // in the same start of the machine
			synced bool // fails also after another, under durability: strict
		}{
			{"as it was", func(map[string][]byte) {}, false, false},
			{"torn behind its end", func(files map[string][]byte) {
				files["-wal"] = append(files["-wal"][:k.ends[last]:k.ends[last]], bytes.Repeat([]byte("torn"), 3000)...)
			}, false, false},
			{"removed", func(files map[string][]byte) { delete(files, "-wal") }, true, true},
			{"emptied", cut(0), true, true},
			{"cut in its header", cut(20), true, true},
			{"cut between two transactions", cut(middle), true, true},
			{"cut in the last", cut(k.ends[last] - 1), true, true},
			{"flipped in its header", flip(9), true, true},
			{"flipped in its salt", flip(17), true, true},
			{"flipped in the first frame", flip(32 + 24 + 1000), true, true},
			{"flipped in the middle", flip(middle + 100), true, true},
			{"flipped in the last", flip(k.ends[last] - 1), true, true},
			{"of an earlier time", func(files map[string][]byte) { maps.Copy(files, k.files[last/2]); files[markPart] = good[markPart] }, true, true},
			{"of another queue", func(files map[string][]byte) {
				other := run(t, durability).files[last]
				other[markPart] = files[markPart]
				maps.Copy(files, other)
			}, true, true},
			{"removed with its index, and the mark is torn", func(files map[string][]byte) {
				delete(files, "-wal")
				delete(files, "-shm")
				files[markPart] = files[markPart][:20]
			}, false, false},
			{"removed, and there is no mark", func(files map[string][]byte) { delete(files, "-wal"); delete(files, markPart) }, false, false},
		} {
			for _, reboot := range []bool{false, true} {
				t.Run(fmt.Sprint(durability, ", ", test.name, ", rebooted ", reboot), func(t *testing.T) {
					files := map[string][]byte{}
					for part, content := range good {
						files[part] = slices.Clone(content)
					}
					test.damage(files)
					fails := test.fails
					if reboot {
						files[markPart] = rebooted(files[markPart])
						// What was written since the last sync is the system's to lose.
						fails = test.synced
					}
					path := laid(t, files)
					for range 2 { // SQLite has looked at it before, too
						s, err := Open(t.Context(), path, false)
						if err == nil {
							s.Close()
						}
						if fails != (err != nil) {
							t.Fatalf("got %v", err)
						}
						if !fails {
							return
						}
						if behind := (errBehind{}); !errors.As(err, &behind) || !strings.HasSuffix(err.Error(), "remove "+path+markPart) {
							t.Errorf("got %v", err)
						}
						for _, part := range []string{"", "-wal"} {
							if content, err := os.ReadFile(path + part); err == nil && !bytes.Equal(content, files[part]) {
								t.Errorf("queue.db%s was changed", part)
							}
						}
					}
					// The way out that the error names.
					if err := os.Remove(path + markPart); err != nil {
						t.Fatal(err)
					}
					s, err := Open(t.Context(), path, false)
					if err != nil {
						t.Fatal(err)
					}
					s.Close()
				})
			}
		}
	}
}

// An old copy of a queue that is put back is refused, until somebody says that the recipients may get it again.
func TestOldCopy(t *testing.T) {
	s, l := loaded(t, 5)
	record(t, l, claim(t, l, 1))
	l.Release()
	s.Close()
	old := filesOf(t, s.Path())
	again, err := Open(t.Context(), s.Path(), false)
	if err != nil {
		t.Fatal(err)
	}
	l = acquire(t, again, "test")
	recovered(t, l, 0, 1)
	record(t, l, claim(t, l, 2))
	l.Release()
	again.Close()
	if err := os.WriteFile(s.Path(), old[""], 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), s.Path(), false)
	if err == nil || !strings.Contains(err.Error(), "3 changes that were written down") || !strings.HasSuffix(err.Error(), "remove "+s.Path()+markPart) {
		t.Fatalf("got %v", err)
	}
	if err := os.Remove(s.Path() + markPart); err != nil {
		t.Fatal(err)
	}
	if again, err = Open(t.Context(), s.Path(), false); err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// The last transactions of a campaign under durability: process are not synced: after a power cut they may be gone, and
// rightly so.
func TestUnsyncedMayBeLost(t *testing.T) {
	s, l := loaded(t, 10)
	l.durability = "process"
	jobs := claim(t, l, 10) // synced
	record(t, l, jobs[:1])  // synced, as it protects the storetest.Snapshot
	end := logEnd(t, s)
	record(t, l, jobs[1:2])
	record(t, l, jobs[2:3])
	files := filesOf(t, s.Path())
	files["-wal"] = files["-wal"][:end]
	if s, err := Open(t.Context(), laid(t, files), false); err == nil {
		s.Close()
		t.Error("the same start of the machine: opened")
	}
	files[markPart] = rebooted(files[markPart])
	s, err := Open(t.Context(), laid(t, files), false)
	if err != nil {
		t.Fatalf("another start of the machine: %v", err)
	}
	s.Close()
	files["-wal"] = files["-wal"][:end-1]
	if s, err := Open(t.Context(), laid(t, files), false); err == nil {
		s.Close()
		t.Error("what was synced is gone: opened")
	}
}

// Whatever a power cut leaves is opened: what was not synced is there or not, sector by sector, and the mark is as it
// was at any moment.
func TestPowerCutIsNoDamage(t *testing.T) {
	const sector = 512
	random := rand.New(rand.NewPCG(5, 6))
	s, l := loaded(t, 60)
	jobs := claim(t, l, 60)
	synced := filesOf(t, s.Path())["-wal"]
	marks := [][]byte{nil}
	for i, j := range jobs {
		l.durability = []string{"strict", "process"}[random.IntN(2)]
		record(t, l, []store.Job{j})
		now := filesOf(t, s.Path())
		if !bytes.Equal(now["-wal"][:32], synced[:32]) { // a new log: its header is synced before its frames
			copy(synced, now["-wal"][:32])
		}
		marks = append(marks, now[markPart])
		if l.durability == "strict" {
			synced = now["-wal"]
		}
		torn := slices.Clone(now["-wal"])
		for at := 0; at < len(torn); at += sector {
			if random.IntN(3) == 0 {
				part := torn[at:min(at+sector, len(torn))]
				clear(part)
				if at < len(synced) {
					copy(part, synced[at:])
				}
			}
		}
		mark := marks[len(marks)-1]
		if random.IntN(3) == 0 {
			mark = marks[random.IntN(len(marks))]
		}
		cut, err := Open(t.Context(), laid(t, map[string][]byte{"": now[""], "-wal": torn, markPart: rebooted(mark)}), false)
		if err != nil {
			t.Fatalf("transaction %d, %s: %v", i, l.durability, err)
		}
		cut.Close()
	}
}

// While processes write and fold the log, others open the queue.
func TestOpenWhileWritten(t *testing.T) {
	s, l := loaded(t, 150)
	done := make(chan error)
	go func() {
		for {
			jobs, err := l.Claim(t.Context(), store.Want{N: 1})
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
		other, err := Open(t.Context(), s.Path(), false)
		if err != nil {
			t.Fatal(err)
		}
		other.Close()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			if n == 0 {
				t.Error("it was never opened")
			}
			return
		default:
		}
	}
}

// What is synced, and what a later sync carries along: an order of which a power cut shows little.
func TestSynced(t *testing.T) {
	for durability, want := range map[string]string{"strict": "claim no, begin yes, begin yes, finish yes, claim no", "process": "claim yes, begin yes, begin no, finish no, claim yes"} {
		s := open(t)
		l := acquire(t, s, "test")
		of := storetest.Snapshot
		of.Durability = durability
		if _, err := l.Load(t.Context(), of, false, storetest.List(6)); err != nil {
			t.Fatal(err)
		}
		var got []string
		note := func(what string, do func()) {
			marks := func() (synced, written int64) {
				for _, m := range parseMarks(filesOf(t, s.Path())[markPart]) {
					if m.boot == "" {
						synced = m.n
					} else {
						written = m.n
					}
				}
				return synced, written
			}
			_, before := marks()
			do()
			var mode int
			if err := s.writer.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&mode); err != nil {
				t.Fatal(err)
			}
			synced := map[bool]string{true: "yes", false: "no"}[mode == 2]
			if sync, all := marks(); all != before+1 || (sync == all) != (mode == 2) {
				synced = fmt.Sprintf("marked %d and %d after %d, under synchronous %d", sync, all, before, mode)
			}
			got = append(got, what+" "+synced)
		}
		var jobs []store.Job
		note("claim", func() { jobs = claim(t, l, 3) })
		note("begin", func() { record(t, l, jobs[:1]) }) // the first one protects the snapshot as well
		note("begin", func() { record(t, l, jobs[1:2]) })
		note("finish", func() { record(t, l, nil, store.Outcome{Job: jobs[0], State: store.Sent}) })
		note("claim", func() { claim(t, l, 3) })
		if got := strings.Join(got, ", "); got != want {
			t.Errorf("%s: %s, want %s", durability, got, want)
		}
	}
}

// What is in the file of the mark is a mark as a whole, or nothing.
func FuzzMarks(f *testing.F) {
	whole := appendMark(appendMark(nil, mark{n: 7, queue: "0123456789abcdef"}), mark{n: 9, queue: "0123456789abcdef", boot: "b"})
	f.Add(whole)
	f.Add([]byte{})
	f.Add(append(make([]byte, 47), whole[47:]...))
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, m := range parseMarks(file) {
			if !bytes.Contains(file, appendMark(nil, m)) {
				t.Errorf("%+v is not in %q", m, file)
			}
		}
	})
}

// Two start times are those of one start if they are near each other; names are the same or not.
func TestSameBoot(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"", "", false},
		{"a", "a", true},
		{"a", "b", false},
		{"a", "", false},
		{bootTime(time.Unix(1700000000, 5)), "at:1700000000", true},
		{"at:1700000000", "at:1700000009", true},
		{"at:1700000009", "at:1700000000", true},
		{"at:1700000000", "at:1700000060", false},
		{"at:1700000000", "1700000000", false},
		{"at:", "at:1", false},
	} {
		if same := sameBoot(test.a, test.b); same != test.same {
			t.Errorf("%q, %q: %v", test.a, test.b, same)
		}
	}
}
