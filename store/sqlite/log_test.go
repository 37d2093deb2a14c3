package sqlite

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailblast/store"
)

// parts are the files of a queue; the first is the queue itself.
var parts = []string{"", "-wal", "-shm"}

// interrupted is a queue as the death of its process leaves it: three of twenty sent, two being sent, the log not folded.
func interrupted(t testing.TB) map[string][]byte {
	t.Helper()
	s, l := loaded(t, 20)
	jobs := claim(t, l, 5)
	for _, j := range jobs[:3] {
		record(t, l, []store.Job{j})
		record(t, l, nil, store.Outcome{Job: j, State: store.Sent, Code: 250})
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
		{"flipped in its header, and no index to know it", func(files map[string][]byte) { flipped(9)(files); delete(files, "-shm") }, true},
		{"flipped in the first frame, and no index to know it", func(files map[string][]byte) { flipped(32 + 24 + 1000)(files); delete(files, "-shm") }, true},
		{"flipped in the first frame, and the index is not finished", func(files map[string][]byte) { flipped(32 + 24 + 1000)(files); files["-shm"][16]++ }, true},
		{"cut, and the index is not finished", func(files map[string][]byte) { cut(last)(files); files["-shm"][16]++ }, false},
		{"cut, and the index is empty", func(files map[string][]byte) { cut(last)(files); files["-shm"] = nil }, false},
		{"removed, and all of it is in the queue", func(files map[string][]byte) {
			delete(files, "-wal")
			copy(files["-shm"][96:100], files["-shm"][16:20])
		}, false},
		{"cut in half, and all of it is in the queue: the half has older pages", func(files map[string][]byte) {
			cut(len(wal) / 2)(files)
			copy(files["-shm"][96:100], files["-shm"][16:20])
		}, true},
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

// After a reboot the index proves nothing: the log may have lost what was not synced, and rightly so. What was synced, the log
// itself proves, as far as anything follows it, and beyond that the mark beside the queue, which may be gone or old.
func TestAfterReboot(t *testing.T) {
	s, l := loaded(t, 60)
	ends := []int{} // of the transactions in the log
	commit := func() {
		x, ok, err := readIndex(s.Path() + "-shm")
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		ends = append(ends, 32+int(x.frames)*(24+x.pageSize))
	}
	commit()
	strict := l.durability
	begin := func(durability string, jobs ...store.Job) {
		l.durability = durability
		record(t, l, jobs)
		commit()
	}
	jobs := claim(t, l, 60)
	commit()
	for i := range 30 {
		begin(strict, jobs[i])
	}
	oldMark := marksOf(t, l)
	for i := range 10 {
		begin(strict, jobs[30+i])
	}
	strictEnds := len(ends)
	good, mark := filesOf(t, s.Path()), marksOf(t, l)
	for i := range 10 {
		begin("process", jobs[40+i])
	}
	process := filesOf(t, s.Path())
	begin(strict, jobs[50])
	mixed := filesOf(t, s.Path())
	if newer := marksOf(t, l); string(newer) == string(mark) {
		t.Error("the last begin has no mark")
	}

	last := strictEnds - 1
	within := func(transaction int) int { return ends[transaction-1] + 24 + 100 }
	for _, test := range []struct {
		name         string
		files        map[string][]byte
		mark         []byte
		flip, cut    int
		byLog, fails bool
	}{
		{name: "as it was", files: good, mark: mark},
		{name: "flipped in the first transaction", files: good, flip: 32 + 24 + 100, byLog: true, fails: true},
		{name: "flipped in the middle", files: good, flip: within(20), byLog: true, fails: true},
		{name: "flipped in the checksum of a frame", files: good, flip: ends[19] + 16, byLog: true, fails: true},
		{name: "flipped in the salt of a frame", files: good, flip: ends[19] + 8, byLog: true, fails: true},
		{name: "flipped in the end of a transaction", files: good, flip: ends[20] - 1, byLog: true, fails: true},
		{name: "flipped in the header's magic", files: good, flip: 0, byLog: true, fails: true},
		{name: "flipped in the header's page size", files: good, flip: 10, byLog: true, fails: true},
		{name: "flipped in the header's salt", files: good, flip: 20, byLog: true, fails: true},
		{name: "flipped in the header's checksum", files: good, flip: 31, byLog: true, fails: true},
		{name: "flipped in the last but two", files: good, flip: within(last - 3), byLog: true, fails: true},
		{name: "flipped in the last, or torn in it", files: good, flip: within(last)},
		{name: "flipped in the last, and there is a mark", files: good, flip: within(last), mark: mark, fails: true},
		{name: "flipped in the last, and the mark is an old one", files: good, flip: within(last), mark: oldMark},
		{name: "cut at the end of a transaction", files: good, cut: ends[20]},
		{name: "cut at the end of a transaction, and there is a mark", files: good, cut: ends[20], mark: mark, fails: true},
		{name: "cut at the end of a transaction, and there is an old mark", files: good, cut: ends[20], mark: oldMark, fails: true},
		{name: "cut in its header, and there is a mark", files: good, cut: 20, mark: mark, fails: true},
		{name: "all lost, and there is a mark: the campaign as well", files: good, cut: 32, mark: mark, fails: true},
		{name: "the mark is damaged", files: good, cut: ends[20], mark: bytes.Replace(mark, []byte("40 "), []byte("90 "), 1)},
		{name: "the mark is empty", files: good, cut: ends[20], mark: []byte{}},
		{name: "not synced, flipped", files: process, flip: within(last + 2), mark: mark},
		{name: "not synced, cut", files: process, cut: ends[last+2], mark: mark},
		{name: "not synced, flipped before that", files: process, flip: within(20), mark: mark, byLog: true, fails: true},
		{name: "not synced, and the last one is", files: mixed, flip: within(last + 2), mark: mark},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := map[string][]byte{"": slices.Clone(test.files[""]), "-wal": slices.Clone(test.files["-wal"]), "-shm": mixed["-shm"]}
			if test.cut > 0 {
				files["-wal"] = files["-wal"][:test.cut]
			} else if test.name != "as it was" && !strings.HasPrefix(test.name, "the mark") {
				files["-wal"][test.flip] ^= 1
			}
			path := laid(t, files)
			before := time.Unix(1, 0)
			if err := os.Chtimes(path+"-shm", before, before); err != nil {
				t.Fatal(err)
			}
			if test.mark != nil {
				if err := os.Mkdir(path+locksSuffix, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(path+locksSuffix, filepath.Base(l.lock.Path()))+marksSuffix, test.mark, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // the first one leaves an index
				s, err := Open(t.Context(), path, false)
				if err == nil {
					s.Close()
				}
				if test.fails != (err != nil) {
					t.Fatalf("got %v", err)
				}
				if !test.fails {
					return
				}
				if behind := (errBehind{}); test.byLog == errors.As(err, &behind) || !strings.Contains(err.Error(), "To go on") {
					t.Errorf("got %v", err)
				}
				for _, part := range []string{"", "-wal"} {
					if content, err := os.ReadFile(path + part); err != nil || !bytes.Equal(content, files[part]) {
						t.Errorf("queue.db%s was changed (%v)", part, err)
					}
				}
			}
			// The way out that the error names.
			if test.name == "flipped in the middle" {
				if err := os.Truncate(path+"-wal", int64(ends[19])); err != nil {
					t.Fatal(err)
				}
				s, err := Open(t.Context(), path, false)
				if err != nil {
					t.Fatal(err)
				}
				s.Close()
			}
		})
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
	mark := l.lock.Path() + marksSuffix
	if err == nil || !strings.Contains(err.Error(), `campaign "test", the beginning of 2 messages`) || !strings.HasSuffix(err.Error(), "remove "+mark) {
		t.Fatalf("got %v", err)
	}
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	if again, err = Open(t.Context(), s.Path(), false); err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func marksOf(t *testing.T, l *Lease) []byte {
	t.Helper()
	b, err := os.ReadFile(l.lock.Path() + marksSuffix)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What is synced, and what a later sync carries along: an order of which a power cut shows little.
func TestSynced(t *testing.T) {
	for durability, want := range map[string]string{"strict": "claim no, begin yes, begin yes, finish yes, claim no", "process": "claim yes, begin yes, begin no, finish no, claim yes"} {
		s := open(t)
		l := acquire(t, s, "test")
		of := snapshot
		of.Durability = durability
		if _, err := l.Load(t.Context(), of, false, list(6)); err != nil {
			t.Fatal(err)
		}
		var got []string
		note := func(what string, do func()) {
			count := func() (n int) {
				if err := s.writer.QueryRowContext(t.Context(), "SELECT n FROM unsynced").Scan(&n); err != nil {
					t.Fatal(err)
				}
				return n
			}
			before := count()
			do()
			var mode int
			if err := s.writer.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&mode); err != nil {
				t.Fatal(err)
			}
			synced := map[bool]string{true: "yes", false: "no"}[mode == 2]
			if marked := count() > before; marked == (mode == 2) {
				synced = fmt.Sprintf("marked %v under synchronous %d", marked, mode)
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

// Whatever a power cut leaves of a log is no damage, and one wrong bit in what was synced is, but for the last three transactions.
// What was not synced is there or not, sector by sector.
func TestPowerCutIsNoDamage(t *testing.T) {
	const sector = 512
	random := rand.New(rand.NewPCG(5, 6))
	s, l := loaded(t, 80)
	jobs := claim(t, l, 80)
	// A transaction that was rolled back, and larger than the cache, has left frames behind the end.
	if _, err := s.writer.ExecContext(t.Context(), "PRAGMA cache_size=5"); err != nil {
		t.Fatal(err)
	}
	spill := func() {
		if err := s.write(t.Context(), func(ctx context.Context) error {
			for range 3 {
				if err := s.exec(ctx, "UPDATE job SET text = hex(randomblob(100))"); err != nil {
					t.Fatal(err)
				}
			}
			return io.ErrClosedPipe
		}); err != io.ErrClosedPipe {
			t.Fatal(err)
		}
	}
	wal := func() []byte { return filesOf(t, s.Path())["-wal"] }
	dir := filepath.Dir(laid(t, map[string][]byte{"": filesOf(t, s.Path())[""]}))
	path := filepath.Join(dir, "queue.db")
	lost := func(log []byte) bool {
		if err := os.WriteFile(path+"-wal", log, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := openLog(path)
		if err != nil || r == nil {
			t.Fatal(err)
		}
		defer r.Close()
		lost, _, err := r.provesLoss()
		if err != nil {
			t.Fatal(err)
		}
		return lost
	}
	kept := wal()     // as of the last sync
	var before [3]int // the ends of the three synced transactions before
	for i, j := range jobs {
		if i%40 == 20 {
			spill()
		}
		l.durability = []string{"strict", "process"}[random.IntN(2)]
		record(t, l, []store.Job{j})
		now := wal()
		x, _, _ := readIndex(s.Path() + "-shm")
		end := 32 + int(x.frames)*(24+x.pageSize)
		if !bytes.Equal(now[:32], kept[:32]) { // a new log: its header is synced before its frames
			copy(kept, now[:32])
			before = [3]int{}
		}
		torn := slices.Clone(now)
		for at := 0; at < len(torn); at += sector {
			if random.IntN(3) == 0 {
				part := torn[at:min(at+sector, len(torn))]
				clear(part)
				if at < len(kept) {
					copy(part, kept[at:])
				}
			}
		}
		if lost(torn) {
			t.Fatalf("transaction %d, %s: what a power cut left was taken for damage", i, l.durability)
		}
		if l.durability != "strict" {
			continue
		}
		if before[0] > 0 {
			damaged := slices.Clone(now)
			damaged[random.IntN(before[0])] ^= 1 << random.IntN(8)
			if !lost(damaged) {
				t.Errorf("transaction %d: damage in what was synced was not seen", i)
			}
		}
		kept, before = now, [3]int{before[1], before[2], end}
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
		if err := os.Remove(path + "-shm"); err != nil {
			t.Fatal(err)
		}
		_ = checkLog(path)
	})
}
