//go:build linux

package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"

	"mailblast/sender/sink"
)

// small lays a campaign of n recipients, claimed in batches, beside the demo's.
func (s *site) small(n, batch int, smtp string) (recipients []string) {
	s.t.Helper()
	var list strings.Builder
	list.WriteString("email,name\n")
	for i := range n {
		to := fmt.Sprintf("reader%d@example.com", i)
		recipients = append(recipients, to)
		fmt.Fprintf(&list, "%s,Reader %d\n", to, i)
	}
	for name, content := range map[string]string{
		"list.csv": list.String(),
		"body.txt": "Dear {{ .name }}, this is the text as it was.\n",
		"small.yaml": "name: small\nfrom: Example News <news@example.com>\nsubject: As it was, {{ .name }}\nrecipients: list.csv\ntext: body.txt\n" +
			"delivery: {batch: " + strconv.Itoa(batch) + "}\nsmtp:\n  " + strings.ReplaceAll(smtp, ", ", "\n  ") + "\n",
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return recipients
}

const plainSMTP = "host: 127.0.0.1, port: ${SMTP_PORT}, security: none, connections: 2"

// ended waits for a command and returns its exit code and what it said.
func ended(t *testing.T, c *exec.Cmd, out *output) (int, string) {
	t.Helper()
	err := c.Wait()
	t.Logf("mailblast %s: %v\n%s", strings.Join(c.Args[1:], " "), err, out)
	if c.ProcessState.ExitCode() < 0 {
		t.Error(err)
	}
	return c.ProcessState.ExitCode(), out.String()
}

// An output keeps what a command says, and calls a function once, when it has said something.
type output struct {
	mu    sync.Mutex
	b     bytes.Buffer
	await string
	then  func()
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b.Write(p)
	if o.then != nil && bytes.Contains(o.b.Bytes(), []byte(o.await)) {
		go o.then()
		o.then = nil
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start starts a command whose output is kept.
func start(t *testing.T, c *exec.Cmd) *output {
	t.Helper()
	out := &output{}
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill() })
	return out
}

// judge holds the end of a campaign against the record of the server: nobody was sent to twice, nobody is lost. It returns
// who is in doubt.
func (s *site) judge(w *witness, recipients []string) (doubt []string) {
	s.t.Helper()
	states := s.states()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, to := range recipients {
		switch state, taken := states[to], w.taken[to]; {
		case taken > 1:
			s.t.Errorf("%s was taken %d times", to, taken)
		case state == "in_doubt":
			doubt = append(doubt, to)
		case state != "sent" || taken != 1:
			s.t.Errorf("%s is %q, taken %d times", to, state, taken)
		}
	}
	if len(states) != len(recipients) {
		s.t.Errorf("%d recipients in the report, %d in the list", len(states), len(recipients))
	}
	return doubt
}

// faultLibrary compiles testdata/fault.
func faultLibrary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fault.so")
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-O1", "-o", path, "../fault/fault.c", "-ldl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// faulty is a command whose disk is going to fail.
func (s *site) faulty(library string, env []string, args ...string) *exec.Cmd {
	c := s.command(args...)
	c.Env = append(c.Env, "LD_PRELOAD="+library, "FAULT_DIR="+s.dir+"/")
	c.Env = append(c.Env, env...)
	return c
}

// The disk is full from some write on, or its syncs fail from some sync on: the run ends with what to do, the log names
// everyone who was sent to and whose fate could not be written down, and when the disk is well again the same command comes to the end.
func TestDiskFails(t *testing.T) {
	library := faultLibrary(t)
	const n = 30
	// How much there is to fail.
	port, _ := startSink(t, sink.Options{})
	s := newSite(t, port)
	s.small(n, 10, plainSMTP)
	log := filepath.Join(t.TempDir(), "count")
	if out, err := s.faulty(library, []string{"FAULT_COUNT=" + log}, "send", "small.yaml").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	made, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range []struct {
		variable, op, hint string
	}{
		{"FAULT_WRITE", "w", "make room on the disk"},
		{"FAULT_SYNC", "s", "the disk may be full or failing"},
	} {
		all := strings.Count(string(made), fault.op)
		if all < 10 {
			t.Fatalf("only %d of %q:\n%s", all, fault.op, made)
		}
		step := max(1, all/8)
		if os.Getenv("MAILBLAST_TEST_ALL") != "" {
			step = 1 // a minute and more
		}
		var failed atomic.Int64
		t.Run(fault.variable, func(t *testing.T) {
			for at := 1; at <= all; at += step {
				t.Run(fmt.Sprint(at, " of ", all), func(t *testing.T) {
					t.Parallel()
					port, w := startSink(t, sink.Options{})
					s := newSite(t, port)
					recipients := s.small(n, 10, plainSMTP)
					c := s.faulty(library, []string{fmt.Sprint(fault.variable, "=", at)}, "send", "small.yaml")
					out := &output{await: "trying again", then: func() {
						// Nobody wants to wait until it gives up by itself.
						c.Process.Signal(syscall.SIGINT)
						c.Process.Signal(syscall.SIGTERM)
					}}
					c.Stdout, c.Stderr = out, out
					if err := c.Start(); err != nil {
						t.Fatal(err)
					}
					code, said := ended(t, c, out)
					switch {
					case code == 0: // what failed was only to be tidied up
					case code != 1 && code != 4:
						t.Errorf("exit code %d", code)
					case !strings.Contains(said, "make room on the disk") && !strings.Contains(said, fault.hint) && !strings.Contains(said, "the disk may be full"):
						t.Error("it does not say what to do")
					default:
						failed.Add(1)
					}
					if code := s.run("send", "small.yaml"); code != 0 && code != 3 {
						t.Errorf("when the disk is well again: exit code %d", code)
					}
					doubt := s.judge(w, recipients)
					for _, to := range doubt {
						if w.taken[to] > 0 && !strings.Contains(said, to) {
							t.Errorf("%s is in doubt, and the log does not name it", to)
						}
					}
					if len(doubt) > 4 {
						t.Errorf("%d are in doubt", len(doubt))
					}
				})
			}
		})
		if n := failed.Load(); n < int64(all/step)*2/3 {
			t.Errorf("%s: only %d of %d runs met the fault", fault.variable, n, all/step)
		}
	}
}

// A disk that is well again after a moment costs nothing but time.
func TestDiskFailsForAMoment(t *testing.T) {
	library := faultLibrary(t)
	for _, variable := range []string{"FAULT_WRITE=1", "FAULT_SYNC=1"} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			while := filepath.Join(t.TempDir(), "while")
			var n atomic.Int64
			w := &witness{taken: map[string]int{}}
			port := startSinkWith(t, sink.Options{}, func(m sink.Message) {
				w.accept(m)
				if n.Add(1) == 10 {
					if err := os.WriteFile(while, nil, 0o600); err != nil {
						t.Error(err)
					}
				}
			})
			s := newSite(t, port)
			recipients := s.small(60, 100, plainSMTP) // one claim takes them all
			c := s.faulty(library, []string{variable, "FAULT_WHILE=" + while}, "send", "small.yaml")
			out := &output{await: "trying again", then: func() { os.Remove(while) }}
			c.Stdout, c.Stderr = out, out
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			if code, said := ended(t, c, out); code != 0 || !strings.Contains(said, "trying again") {
				t.Errorf("exit code %d", code)
			}
			if doubt := s.judge(w, recipients); len(doubt) > 0 {
				t.Errorf("in doubt: %q", doubt)
			}
		})
	}
}

// startUnprivileged starts a command to which file permissions apply, also when the test runs as root.
func startUnprivileged(c *exec.Cmd) error {
	done := make(chan error)
	go func() {
		// The capabilities are this thread's. It is not unlocked, so it ends with the goroutine.
		runtime.LockOSThread()
		if os.Geteuid() == 0 {
			for _, capability := range []uintptr{unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH, unix.CAP_FOWNER} {
				if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil {
					done <- fmt.Errorf("drop a capability: %w", err)
					return
				}
			}
		}
		done <- c.Start()
	}()
	return <-done
}

// A queue that cannot be written is a clear error, with its place, before anything is sent.
func TestNoPermission(t *testing.T) {
	for _, test := range []struct {
		name, db, want string
		prepare        func(dir string) error
	}{
		{"a folder in which nothing may be made", "q/queue.db", "q/queue.db: permission denied", func(dir string) error { return os.Mkdir(dir+"/q", 0o500) }},
		{"a folder in which no folder may be made", "q/state/queue.db", "q/state: permission denied", func(dir string) error { return os.Mkdir(dir+"/q", 0o500) }},
		{"a folder that may not be entered", "q/queue.db", "permission denied", func(dir string) error { return os.Mkdir(dir+"/q", 0) }},
		{"a queue that may only be read", "made/queue.db", "must be writable", func(dir string) error { return os.Chmod(dir+"/made/queue.db", 0o400) }},
		{"a queue that may not be read", "made/queue.db", "queue.db: permission denied", func(dir string) error { return os.Chmod(dir+"/made/queue.db", 0) }},
		{"a folder with a queue, that may only be read", "made/queue.db", "must be writable", func(dir string) error { return os.Chmod(dir+"/made", 0o500) }},
		{"a folder of locks that may only be read", "made/queue.db", "campaign lock: open", func(dir string) error { return os.Chmod(dir+"/made/queue.db.locks", 0o500) }},
		{"below a file", "list.csv/queue.db", "list.csv", func(string) error { return nil }},
		{"a folder", "made", "this is not a file", func(string) error { return nil }},
		{"a pipe", "pipe", "this is not a file", func(dir string) error { return syscall.Mkfifo(dir+"/pipe", 0o600) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			port, w := startSink(t, sink.Options{})
			s := newSite(t, port)
			s.small(3, 10, plainSMTP)
			if code := s.run("--db", "made/queue.db", "send", "small.yaml", "--name", "first", "--limit", "1"); code != 4 {
				t.Fatalf("exit code %d", code)
			}
			if err := test.prepare(s.dir); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				for _, path := range []string{"/q", "/made", "/made/queue.db.locks"} {
					os.Chmod(s.dir+path, 0o700)
				}
			})
			c := s.command("--db", test.db, "send", "small.yaml")
			out := &output{}
			c.Stdout, c.Stderr = out, out
			if err := startUnprivileged(c); err != nil {
				t.Fatal(err)
			}
			want := 2
			if strings.Contains(test.want, "lock") || strings.Contains(test.want, "must be writable") {
				want = 1
			}
			if code, said := ended(t, c, out); code != want || !strings.Contains(said, test.want) {
				t.Errorf("exit code %d; want %d and %q", code, want, test.want)
			}
			if w.count() != 1 {
				t.Errorf("%d recipients were sent to", w.count())
			}
		})
	}
}

// hold takes the queue's lock as a shell would.
func (s *site) hold() (release func()) {
	s.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(s.dir, "queue.db")+"?_txlock=immediate&_busy_timeout=10000")
	if err != nil {
		s.t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		s.t.Fatal(err)
	}
	return sync.OnceFunc(func() { tx.Rollback(); db.Close() })
}

// opened waits until a process has opened the queue: from then on it hears signals.
func (s *site) opened(c *exec.Cmd) {
	s.t.Helper()
	fds := fmt.Sprintf("/proc/%d/fd", c.Process.Pid)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		entries, _ := os.ReadDir(fds)
		for _, e := range entries {
			if to, _ := os.Readlink(filepath.Join(fds, e.Name())); strings.HasSuffix(to, "queue.db-wal") {
				return
			}
		}
	}
	s.t.Fatal("it never opened the queue")
}

// longerThanSQLite is longer than SQLite itself waits for a lock.
const longerThanSQLite = 1300 * time.Millisecond

// Whoever finds the queue locked waits, at the start and in the middle, and goes on.
func TestQueueLocked(t *testing.T) {
	t.Parallel()
	patience := longerThanSQLite
	if os.Getenv("MAILBLAST_TEST_ALL") != "" {
		patience = 62 * time.Second // each time
	}
	var s *site
	var n atomic.Int64
	var middle sync.WaitGroup
	w := &witness{taken: map[string]int{}}
	port := startSinkWith(t, sink.Options{}, func(m sink.Message) {
		w.accept(m)
		if n.Add(1) == 30 {
			release := s.hold()
			middle.Go(func() { time.Sleep(patience); release() })
		}
	})
	s = newSite(t, port)
	recipients := s.small(60, 10, plainSMTP)
	if code := s.run("send", "small.yaml", "--limit", "1"); code != 4 {
		t.Fatalf("exit code %d", code)
	}
	release := s.hold()
	c := s.command("resume")
	out := start(t, c)
	s.opened(c)
	time.Sleep(patience)
	if w.count() != 1 {
		t.Errorf("%d recipients were sent to while the queue was locked", w.count())
	}
	release()
	if code, _ := ended(t, c, out); code != 0 {
		t.Errorf("exit code %d", code)
	}
	middle.Wait()
	if doubt := s.judge(w, recipients); len(doubt) > 0 {
		t.Errorf("in doubt: %q", doubt)
	}
}

// The clock is set by a day in the middle of a run: nobody is lost, nobody is sent to twice, and nobody who was put off waits for
// a day. The clock of a Go program cannot be set for it alone, as it reads it without asking the system; so the test does the same
// thing from the other side, and sets all the times that are written down. Within a process time is told by the clock that is never set.
func TestClockIsSet(t *testing.T) {
	for _, test := range []struct {
		name string
		by   time.Duration
		code int // of the run
	}{
		{"forth", 24 * time.Hour, 0}, // all who were put off are due
		{"back", -24 * time.Hour, 4}, // they seem to be due in a day, until the end of the run
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var s *site
			var n, putOff atomic.Int64
			w := &witness{taken: map[string]int{}}
			port := startSinkWith(t, sink.Options{Fail: []sink.Rule{{
				Stage: sink.Rcpt, Pattern: regexp.MustCompile(`[05]@`), First: 1, Reply: sink.Reply{Code: 451, Text: "4.7.1 try again later"},
			}}}, func(m sink.Message) {
				w.accept(m)
				if n.Add(1) == 20 {
					putOff.Store(s.setClock(test.by))
				}
			})
			s = newSite(t, port)
			recipients := s.small(60, 10, plainSMTP)
			s.amend("small.yaml", "delivery: {", "delivery: {backoff: 3s..3s, ")
			c := s.command("send", "small.yaml")
			out := start(t, c)
			if code, said := ended(t, c, out); code != test.code || strings.Contains(said, "in 23h") || strings.Contains(said, "in 24h") {
				t.Errorf("exit code %d, want %d, and nobody is to wait for a day", code, test.code)
			}
			if putOff.Load() == 0 {
				t.Error("nobody had been put off by then")
			}
			if code := s.run("resume"); code != 0 {
				t.Errorf("resume: exit code %d", code)
			}
			if doubt := s.judge(w, recipients); len(doubt) > 0 {
				t.Errorf("in doubt: %q", doubt)
			}
		})
	}
}

// setClock makes the times in the queue what they are by a clock that has been set. It returns how many recipients are put off.
func (s *site) setClock(by time.Duration) (putOff int64) {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(s.dir, "queue.db")+"?_txlock=immediate&_busy_timeout=10000")
	if err != nil {
		s.t.Error(err)
		return 0
	}
	defer db.Close()
	result, err := db.Exec("UPDATE job SET due = due - ?1, updated = updated - ?1 WHERE state = 'queued' AND due > 0", by.Milliseconds())
	if err == nil {
		putOff, err = result.RowsAffected()
	}
	if err == nil {
		_, err = db.Exec("UPDATE job SET updated = updated - ?1 WHERE state <> 'queued'", by.Milliseconds())
	}
	if err != nil {
		s.t.Error(err)
	}
	return putOff
}

// amend replaces a text in a file of the site.
func (s *site) amend(name, old, new string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	content, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(content, []byte(old), []byte(new)), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// startSinkWith is startSink with a function of the test's own.
func startSinkWith(t *testing.T, o sink.Options, accept func(sink.Message)) (port int) {
	t.Helper()
	o.Listen, o.OnAccept = "127.0.0.1:0", accept
	server, err := sink.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close(context.Background()) })
	_, text, _ := strings.Cut(server.Addr().String(), ":")
	fmt.Sscan(text, &port)
	return port
}

// A signal ends the waiting for a locked queue: one before anything is sent, two when there is something to write down, whose
// recipients the log then names.
func TestInterruptedWhileLocked(t *testing.T) {
	t.Run("at the start", func(t *testing.T) {
		t.Parallel()
		port, w := startSink(t, sink.Options{})
		s := newSite(t, port)
		recipients := s.small(20, 10, plainSMTP)
		if code := s.run("send", "small.yaml", "--limit", "1"); code != 4 {
			t.Fatalf("exit code %d", code)
		}
		for _, args := range [][]string{{"resume"}, {"send", "small.yaml"}, {"retry", "small", "--failed"}} {
			release := s.hold()
			c := s.command(args...)
			out := start(t, c)
			s.opened(c)
			c.Process.Signal(syscall.SIGINT)
			if code, _ := ended(t, c, out); code != 4 {
				t.Errorf("%q: exit code %d", args, code)
			}
			release()
		}
		s.run("resume")
		s.judge(w, recipients)
	})
	t.Run("in the middle", func(t *testing.T) {
		t.Parallel()
		var s *site
		var n atomic.Int64
		var release func()
		var c *exec.Cmd
		w := &witness{taken: map[string]int{}}
		port := startSinkWith(t, sink.Options{}, func(m sink.Message) {
			w.accept(m)
			if n.Add(1) == 20 {
				release = s.hold()
				c.Process.Signal(syscall.SIGINT)
				c.Process.Signal(syscall.SIGTERM)
			}
		})
		s = newSite(t, port)
		recipients := s.small(60, 10, plainSMTP)
		c = s.command("send", "small.yaml")
		out := start(t, c)
		code, said := ended(t, c, out)
		if code != 4 {
			t.Errorf("exit code %d", code)
		}
		release()
		if code := s.run("resume"); code != 3 {
			t.Errorf("resume: exit code %d", code)
		}
		for _, to := range s.judge(w, recipients) {
			if w.taken[to] > 0 && !strings.Contains(said, to) {
				t.Errorf("%s is in doubt, and the log does not name it", to)
			}
		}
	})
}

// A damaged queue, or one that has lost its write-ahead log, is refused by every command that would change it, and left as it is.
func TestDamagedQueue(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	pid := make(chan int, 1)
	w := &witness{taken: map[string]int{}}
	port := startSinkWith(t, sink.Options{}, func(m sink.Message) {
		w.accept(m)
		if n.Add(1) == 20 {
			syscall.Kill(<-pid, syscall.SIGKILL)
		}
	})
	s := newSite(t, port)
	recipients := s.small(60, 10, plainSMTP)
	c := s.command("send", "small.yaml")
	start(t, c)
	pid <- c.Process.Pid
	c.Wait()
	files := map[string][]byte{}
	for _, name := range []string{"queue.db", "queue.db-wal", "queue.db-shm"} {
		content, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = content
	}
	before := w.count()
	for _, test := range []struct {
		name, want string
		damage     func(files map[string][]byte)
	}{
		{"log removed", "write-ahead log", func(f map[string][]byte) { delete(f, "queue.db-wal") }},
		{"log cut", "write-ahead log", func(f map[string][]byte) { f["queue.db-wal"] = f["queue.db-wal"][:len(f["queue.db-wal"])/2] }},
		{"log flipped", "write-ahead log", func(f map[string][]byte) { f["queue.db-wal"][len(f["queue.db-wal"])/3] ^= 1 }},
		// As after a reboot, or in a copy: the index is older than the start of the machine, or gone.
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
			out, err := s.command(args...).CombinedOutput()
			if code := exitCode(err); code != 2 || !strings.Contains(string(out), test.want) || strings.Contains(string(out), "goroutine") {
				t.Errorf("%s: %s: exit code %d; want 2 and %q\n%s", test.name, args[0], code, test.want, out)
			}
			for name, content := range damaged {
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

func (s *site) lay(files map[string][]byte) {
	s.t.Helper()
	for _, name := range []string{"queue.db", "queue.db-wal", "queue.db-shm"} {
		path := filepath.Join(s.dir, name)
		os.Remove(path)
		if content, ok := files[name]; ok {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

func exitCode(err error) int {
	if e, ok := err.(*exec.ExitError); ok {
		return e.ExitCode()
	}
	return 0
}

// A process is stopped for so long that another one takes its lock, as can happen where the lock is kept by a server. The
// other one settles its rows and sends the rest. When the first one goes on, the fence lets nothing of what it had claimed
// leave, and what it learns about what had left changes nothing.
func TestStoppedForLong(t *testing.T) {
	t.Parallel()
	var s *site
	var n atomic.Int64
	pid, stopped := make(chan int, 1), make(chan bool)
	w := &witness{taken: map[string]int{}}
	port := startSinkWith(t, sink.Options{}, func(m sink.Message) {
		w.accept(m)
		if n.Add(1) == 25 {
			s.halt(<-pid)
			close(stopped)
		}
	})
	s = newSite(t, port)
	recipients := s.small(80, 10, plainSMTP)
	first := s.command("send", "small.yaml")
	out := &output{}
	first.Stdout, first.Stderr = out, out
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	pid <- first.Process.Pid
	t.Cleanup(func() { first.Process.Kill() })
	<-stopped
	locks, err := filepath.Glob(filepath.Join(s.dir, "queue.db.locks", "????????????????"))
	if err != nil || len(locks) != 1 {
		t.Fatalf("locks %q, %v", locks, err)
	}
	if code := s.run("resume"); code != 5 {
		t.Errorf("while the lock is held: exit code %d", code)
	}
	if err := os.Rename(locks[0], filepath.Join(s.dir, "lost")); err != nil {
		t.Fatal(err)
	}
	if code := s.run("resume"); code != 3 {
		t.Errorf("the second one: exit code %d", code)
	}
	settled := s.states()
	first.Process.Signal(syscall.SIGCONT)
	if code, _ := ended(t, first, out); code != 3 {
		t.Errorf("the first one: exit code %d", code)
	}
	doubt := s.judge(w, recipients)
	if len(doubt) == 0 || len(doubt) > 4 {
		t.Errorf("in doubt: %q", doubt)
	}
	for to, state := range s.states() {
		if state != settled[to] {
			t.Errorf("%s was %s, and the first one has made it %s", to, settled[to], state)
		}
	}
}

// halt stops a process at a moment at which it does not hold the queue: there the others would have to wait for it.
func (s *site) halt(pid int) {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(s.dir, "queue.db")+"?_txlock=immediate&_busy_timeout=0")
	if err != nil {
		s.t.Error(err)
		return
	}
	defer db.Close()
	for {
		syscall.Kill(pid, syscall.SIGSTOP)
		for state := ""; state != "T"; {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err != nil {
				s.t.Error(err)
				return
			}
			_, after, _ := bytes.Cut(stat, []byte(") "))
			state = string(after[:1])
		}
		if tx, err := db.Begin(); err == nil {
			tx.Rollback()
			return
		}
		syscall.Kill(pid, syscall.SIGCONT)
		time.Sleep(time.Millisecond)
	}
}

// Whatever is started at the same time, each campaign is sent by one process, once.
func TestAtTheSameTime(t *testing.T) {
	for _, test := range []struct {
		name  string
		runs  [][]string
		codes []int // sorted
	}{
		{"two by cron", [][]string{{"send", "small.yaml"}, {"send", "small.yaml"}}, []int{0, 5}},
		{"resume beside send", [][]string{{"send", "small.yaml"}, {"resume"}}, []int{0, 5}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			// The first one comes no further than this before the others have ended.
			gate := make(chan bool)
			w := &witness{taken: map[string]int{}}
			first := make(chan bool)
			var n atomic.Int64
			port := startSinkWith(t, sink.Options{}, func(m sink.Message) {
				w.accept(m)
				if n.Add(1) == 1 {
					close(first)
				}
				<-gate
			})
			s := newSite(t, port)
			recipients := s.small(40, 10, plainSMTP)
			c := s.command(test.runs[0]...)
			out := start(t, c)
			<-first
			codes := []int{s.run(test.runs[1]...)}
			close(gate)
			code, _ := ended(t, c, out)
			if codes = append(codes, code); !slices.Equal(slices.Sorted(slices.Values(codes)), test.codes) {
				t.Errorf("exit codes %v, want %v", codes, test.codes)
			}
			if doubt := s.judge(w, recipients); len(doubt) > 0 {
				t.Errorf("in doubt: %q", doubt)
			}
		})
	}
	t.Run("four that find no queue", func(t *testing.T) {
		t.Parallel()
		port, w := startSink(t, sink.Options{})
		s := newSite(t, port)
		recipients := s.small(40, 10, plainSMTP)
		var all []*exec.Cmd
		var outs []*output
		for range 4 {
			c := s.command("send", "small.yaml")
			outs, all = append(outs, start(t, c)), append(all, c)
		}
		done := 0
		for i, c := range all {
			switch code, _ := ended(t, c, outs[i]); code {
			case 0:
				done++
			case 5:
			default:
				t.Errorf("exit code %d", code)
			}
		}
		if done == 0 {
			t.Error("none came to the end")
		}
		if doubt := s.judge(w, recipients); len(doubt) > 0 {
			t.Errorf("in doubt: %q", doubt)
		}
	})
	t.Run("two campaigns", func(t *testing.T) {
		t.Parallel()
		const n = 300
		port, w := startSink(t, sink.Options{Latency: time.Millisecond})
		s := newSite(t, port)
		recipients := s.small(n, 10, plainSMTP)
		names := []string{"spring", "summer"}
		var all []*exec.Cmd
		var outs []*output
		for _, name := range names {
			c := s.command("send", "small.yaml", "--name", name)
			outs, all = append(outs, start(t, c)), append(all, c)
		}
		for i, c := range all {
			if code, _ := ended(t, c, outs[i]); code != 0 {
				t.Errorf("exit code %d", code)
			}
		}
		for _, to := range recipients {
			if w.taken[to] != len(names) {
				t.Errorf("%s was taken %d times", to, w.taken[to])
			}
		}
		for _, name := range names {
			out, err := s.command("report", name, "--state", "sent", "--format", "csv").Output()
			if lines := bytes.Count(out, []byte("\n")); err != nil || lines != n+1 {
				t.Errorf("%s: %d lines, %v", name, lines, err)
			}
		}
	})
}

// A server whose name is not known: a few tries, then 4 with what to look at, and nothing is lost.
func TestUnknownHost(t *testing.T) {
	library := faultLibrary(t)
	for _, how := range []string{"none", "again"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			port, w := startSink(t, sink.Options{})
			s := newSite(t, port)
			recipients := s.small(20, 10, strings.Replace(plainSMTP, "127.0.0.1", "${SMTP_HOST}", 1))
			c := s.command("send", "small.yaml")
			c.Env = append(c.Env, "SMTP_HOST=smtp.invalid", "GODEBUG=netdns=cgo", "LD_PRELOAD="+library, "FAULT_NAME=smtp.invalid:"+how)
			out := start(t, c)
			code, said := ended(t, c, out)
			if code != 4 || !strings.Contains(said, "lookup smtp.invalid") || !strings.Contains(said, "check smtp.host") {
				t.Errorf("exit code %d", code)
			}
			c = s.command("resume")
			c.Env = append(c.Env, "SMTP_HOST=127.0.0.1")
			out = start(t, c)
			if code, _ := ended(t, c, out); code != 0 {
				t.Errorf("resume: exit code %d", code)
			}
			if doubt := s.judge(w, recipients); len(doubt) > 0 {
				t.Errorf("in doubt: %q", doubt)
			}
		})
	}
}

// A server whose certificate expires in the middle of a campaign: the run stops and says why, and nothing is lost.
func TestCertificateExpires(t *testing.T) {
	t.Parallel()
	authority, issue := newAuthority(t)
	now := time.Now()
	good, expired := issue(now.Add(time.Hour)), issue(now.Add(-time.Minute))
	var handshakes atomic.Int64
	var mended atomic.Bool
	port, w := startSink(t, sink.Options{Security: sink.StartTLS, TLS: &tls.Config{
		SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if handshakes.Add(1) > 4 && !mended.Load() {
				return expired, nil
			}
			return good, nil
		},
	}})
	s := newSite(t, port)
	recipients := s.small(60, 10, "host: localhost, port: ${SMTP_PORT}, security: starttls, ca_file: ca.pem, connections: 2, messages_per_connection: 5")
	if err := os.WriteFile(filepath.Join(s.dir, "ca.pem"), authority, 0o600); err != nil {
		t.Fatal(err)
	}
	c := s.command("send", "small.yaml")
	out := start(t, c)
	code, said := ended(t, c, out)
	if code != 4 || !strings.Contains(said, "expired") || !strings.Contains(said, "needs a new certificate") {
		t.Errorf("exit code %d", code)
	}
	if n := w.count(); n == 0 || n > 20 {
		t.Errorf("%d were sent to", n)
	}
	mended.Store(true)
	if code := s.run("resume"); code != 0 {
		t.Errorf("resume: exit code %d", code)
	}
	if doubt := s.judge(w, recipients); len(doubt) > 0 {
		t.Errorf("in doubt: %q", doubt)
	}
}

// newAuthority makes an authority for certificates of localhost.
func newAuthority(t *testing.T) (authorityPEM []byte, issue func(until time.Time) *tls.Certificate) {
	t.Helper()
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	key := newKey()
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), func(until time.Time) *tls.Certificate {
		leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"localhost"}, NotBefore: authority.NotBefore, NotAfter: until}
		leafKey := newKey()
		der, err := x509.CreateCertificate(rand.Reader, leaf, authority, leafKey.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: leafKey}
	}
}

// What was changed or removed after send does not matter to resume: everyone gets what the first one got.
func TestChangedBeforeResume(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(path string) error
	}{
		{"removed", os.Remove},
		{"changed", func(path string) error {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, bytes.ReplaceAll(content, []byte("s it was"), []byte("s it is now")), 0o600)
		}},
		{"made nonsense of", func(path string) error { return os.WriteFile(path, []byte("{{ nonsense: ["), 0o600) }},
		{"replaced by folders", func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o700)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := &witness{taken: map[string]int{}}
			var mu sync.Mutex
			var texts []string
			port := startSinkWith(t, sink.Options{}, func(m sink.Message) {
				w.accept(m)
				mu.Lock()
				defer mu.Unlock()
				texts = append(texts, string(m.Data))
			})
			s := newSite(t, port)
			recipients := s.small(20, 10, plainSMTP)
			if code := s.run("send", "small.yaml", "--limit", "5"); code != 4 {
				t.Fatalf("exit code %d", code)
			}
			for _, name := range []string{"small.yaml", "body.txt", "list.csv"} {
				if err := test.change(filepath.Join(s.dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			if code := s.run("resume"); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if doubt := s.judge(w, recipients); len(doubt) > 0 {
				t.Errorf("in doubt: %q", doubt)
			}
			for _, text := range texts {
				head, body, _ := strings.Cut(text, "\r\n\r\n")
				if !strings.Contains(head, "Subject: As it was") || !strings.Contains(body, "this is the text as it was") {
					t.Errorf("got\n%s", text)
				}
			}
		})
	}
}
