// Package harness is what the tests of the real binary share.
package harness

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	_ "mailblast/cmd" // the tests build it, and are to run again when it has changed
)

// RaceOptions is the variable by which the race detector is configured.
const RaceOptions = "GORACE"

// Main does the work of TestMain: it builds mailblast, with the race detector if the tests have it, puts it where a test
// that runs "mailblast" finds it, and runs the tests.
func Main(m *testing.M) (code int) {
	// The race detector lets a process that is at its end wait for a second, so that goroutines that are left over can
	// still be seen to race. The tests run hundreds of commands, and a command has waited by then for all that works on
	// its behalf.
	if os.Getenv(RaceOptions) == "" {
		os.Setenv(RaceOptions, "atexit_sleep_ms=20")
	}
	bin, err := os.MkdirTemp("", "mailblast-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	args := []string{"build", "-o", bin + string(filepath.Separator), "mailblast"}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = slices.Insert(args, 1, "-race")
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go %q: %v\n%s", args, err, out)
		return 1
	}
	os.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return m.Run()
}

// CopyDemo copies the demo campaign to dir.
func CopyDemo(dir string) error { return os.CopyFS(dir, os.DirFS("../demo")) }

// Eventually reports whether something comes true, within three times as long as it may take until a run tells again
// what it has found out.
func Eventually(ok func() bool) bool {
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// Listens reports whether somebody takes connections at an address.
func Listens(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err == nil {
		conn.Close()
	}
	return err == nil
}
