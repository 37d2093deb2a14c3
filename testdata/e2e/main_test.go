package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mailblast/sender/sink"
)

// TestMain builds mailblast, as the tests are built, and puts it where a test that runs "mailblast" finds it.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	// The race detector lets a process that is at its end wait for a second, so that goroutines that are left over can still be seen to race.
	// The tests run hundreds of commands, and a command has waited by then for all that works on its behalf.
	if os.Getenv(raceOptions) == "" {
		os.Setenv(raceOptions, "atexit_sleep_ms=20")
	}
	bin, err := os.MkdirTemp("", "mailblast-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	args := []string{"build", "-o", bin + string(filepath.Separator), "mailblast"}
	if raceDetector() {
		args = slices.Insert(args, 1, "-race")
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go %q: %v\n%s", args, err, out)
		return 1
	}
	os.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return m.Run()
}

const raceOptions = "GORACE"

// raceDetector tells whether the tests run with it.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// The scripts run every command as a user does. They have some commands of their own:
//
//	sink [-auth USER:PASSWORD] [-drop] [-host NAME] [-latency D] [-rate LIMIT] [-tls starttls|tls] [FAULT…]
//	                                                          a test server; its port is $SMTP_PORT, its CA is ca.pem
//	taken N [DISTINCT]                                        it took N messages, for so many recipients
//	exits CODE COMMAND…                                       the command ends with this exit code
//	wait4 REGEXP                                              wait until mailblast status shows it
//	waitport ADDRESS                                          wait until somebody listens there
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "../script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("XDG_STATE_HOME", "")
			env.Setenv("MAILBLAST_DB", filepath.Join(env.WorkDir, "state", "queue.db"))
			env.Setenv("NO_COLOR", "1")
			env.Setenv(raceOptions, os.Getenv(raceOptions))
			return copyDemo(filepath.Join(env.WorkDir, "demo"))
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"sink": cmdSink, "taken": cmdTaken, "exits": cmdExits, "wait4": cmdWaitStatus, "waitport": cmdWaitPort},
	})
}

// copyDemo lays the demo campaign at dir.
func copyDemo(dir string) error { return os.CopyFS(dir, os.DirFS("../demo")) }

var sinks sync.Map // of the scripts that run, by working folder

func cmdSink(ts *testscript.TestScript, _ bool, args []string) {
	options := sink.Options{Listen: "127.0.0.1:0"}
	host := "localhost"
	for len(args) > 0 {
		switch arg := args[0]; arg {
		case "-auth":
			options.Username, options.Password, _ = strings.Cut(args[1], ":")
			args = args[1:]
		case "-latency":
			latency, err := time.ParseDuration(args[1])
			ts.Check(err)
			options.Latency, args = latency, args[1:]
		case "-drop":
			options.DropAfterDot = 1
		case "-rate":
			rate, err := sink.ParseRate(args[1])
			ts.Check(err)
			options.Rates, args = append(options.Rates, rate), args[1:]
		case "-host":
			host, args = args[1], args[1:]
		case "-tls":
			certificate, ca, err := sink.ThrowawayCertificate(host)
			ts.Check(err)
			ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), ca, 0o644))
			options.Security, options.TLS = sink.Security(args[1]), &tls.Config{Certificates: []tls.Certificate{certificate}}
			args = args[1:]
		default:
			rule, err := sink.ParseRule(arg)
			ts.Check(err)
			options.Fail = append(options.Fail, rule)
		}
		args = args[1:]
	}
	server, err := sink.Start(context.Background(), options)
	ts.Check(err)
	ts.Defer(func() { server.Close(context.Background()) })
	sinks.Store(ts.Getenv("WORK"), server)
	_, port, _ := strings.Cut(server.Addr().String(), ":")
	ts.Setenv("SMTP_PORT", port)
}

func cmdTaken(ts *testscript.TestScript, _ bool, args []string) {
	server, ok := sinks.Load(ts.Getenv("WORK"))
	if !ok {
		ts.Fatalf("no sink was started")
	}
	c := server.(*sink.Server).Counts()
	got := []string{strconv.FormatInt(c.Accepted, 10), strconv.FormatInt(c.Distinct, 10)}
	if want := args; !slices.Equal(got[:len(want)], want) {
		ts.Fatalf("the server took %s messages for %s recipients, want %s", got[0], got[1], want)
	}
}

func cmdExits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if e := (*exec.ExitError)(nil); errors.As(err, &e) {
		code = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if got := strconv.Itoa(code); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

func cmdWaitStatus(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile(args[0])
	await(ts, func() bool {
		return ts.Exec("mailblast", "status") == nil && want.MatchString(ts.ReadFile("stdout"))
	})
}

func cmdWaitPort(ts *testscript.TestScript, _ bool, args []string) {
	await(ts, func() bool {
		conn, err := net.Dial("tcp", args[0])
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// await asks again and again, for three times as long as it may take until a run tells again what it has found out.
func await(ts *testscript.TestScript, ok func() bool) {
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("waited too long")
		}
	}
}

// writeList writes a CSV of n recipients and returns its path.
func writeList(t testing.TB, dir string, n int) string {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("email,first name,city\n")
	for i := range n {
		fmt.Fprintf(&b, "reader%d@example.com,Zoë %d,Göteborg\n", i, i)
	}
	path := filepath.Join(dir, "list.csv")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
