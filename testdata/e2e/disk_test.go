//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"mailblast/sender/sink"
)

// The disk is full from some write on, or its syncs fail from some sync on: the run ends with what to do, the log names
// everyone who was sent to and whose fate could not be written down, and when the disk is well again the same command
// comes to the end.
func TestDiskFails(t *testing.T) {
	t.Parallel()
	library := faultLibrary(t)
	const n = 30
	// How much there is to fail.
	port, _ := startSink(t, sink.Options{})
	s := newSite(t, port)
	s.small(n, 10, plainSMTP)
	log := filepath.Join(t.TempDir(), "count")
	well := s.faulty(library, []string{"FAULT_COUNT=" + log}, "send", "small.yaml")
	well.start()
	if code, _ := well.end(); code != 0 {
		t.Fatalf("exit code %d", code)
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
					p := s.faulty(library, []string{fmt.Sprint(fault.variable, "=", at)}, "send", "small.yaml")
					// Nobody wants to wait until it gives up by itself.
					p.when("trying again", func() { p.signal(syscall.SIGINT, syscall.SIGTERM) })
					p.start()
					code, said := p.end()
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
						if w.record()[to] > 0 && !strings.Contains(said, to) {
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
	t.Parallel()
	library := faultLibrary(t)
	for _, variable := range []string{"FAULT_WRITE=1", "FAULT_SYNC=1"} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			while := filepath.Join(t.TempDir(), "while")
			port, w := startSink(t, sink.Options{OnAccept: atMessage(10, nil, func() {
				if err := os.WriteFile(while, nil, 0o600); err != nil {
					t.Error(err)
				}
			})})
			s := newSite(t, port)
			recipients := s.small(60, 100, plainSMTP) // one claim takes them all
			p := s.faulty(library, []string{variable, "FAULT_WHILE=" + while}, "send", "small.yaml")
			p.when("trying again", func() { os.Remove(while) })
			p.start()
			if code, said := p.end(); code != 0 || !strings.Contains(said, "trying again") {
				t.Errorf("exit code %d", code)
			}
			s.judgeSettled(w, recipients)
		})
	}
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

// faulty is a process whose disk is going to fail.
func (s *site) faulty(library string, env []string, args ...string) *process {
	p := s.process(args...)
	p.Env = append(p.Env, "LD_PRELOAD="+library, "FAULT_DIR="+s.dir+"/")
	p.Env = append(p.Env, env...)
	return p
}
