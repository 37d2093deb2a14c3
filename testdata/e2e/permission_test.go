//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mailblast/sender/sink"
)

// A queue that cannot be written is a clear error, with its place, before anything is sent.
func TestNoPermission(t *testing.T) {
	t.Parallel()
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
			p := s.process("--db", test.db, "send", "small.yaml")
			p.startBy(func() error { return startUnprivileged(p.Cmd) })
			want := 2
			if strings.Contains(test.want, "lock") || strings.Contains(test.want, "must be writable") {
				want = 1
			}
			if code, said := p.end(); code != want || !strings.Contains(said, test.want) {
				t.Errorf("exit code %d; want %d and %q", code, want, test.want)
			}
			if w.count() != 1 {
				t.Errorf("%d recipients were sent to", w.count())
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
