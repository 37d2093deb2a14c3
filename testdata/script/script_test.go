// Package script tests every command by scripts, the .txtar files beside it.
package script

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mailblast/sender/sink"
	"mailblast/testdata/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

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
		Dir: ".",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("XDG_STATE_HOME", "")
			env.Setenv("MAILBLAST_DB", filepath.Join(env.WorkDir, "state", "queue.db"))
			env.Setenv("NO_COLOR", "1")
			env.Setenv(harness.RaceOptions, os.Getenv(harness.RaceOptions))
			return harness.CopyDemo(filepath.Join(env.WorkDir, "demo"))
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"sink": cmdSink, "taken": cmdTaken, "exits": cmdExits, "wait4": cmdWaitStatus, "waitport": cmdWaitPort},
	})
}

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
	ts.Setenv("SMTP_PORT", strconv.Itoa(server.Addr().(*net.TCPAddr).Port))
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
	await(ts, func() bool { return harness.Listens(args[0]) })
}

func await(ts *testscript.TestScript, ok func() bool) {
	if !harness.Eventually(ok) {
		ts.Fatalf("waited too long")
	}
}
