package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"mailblast/testdata/harness"
)

// startPostfixSink starts the test server of Postfix, which writes each message to a file of its own. record reads
// them.
func startPostfixSink(t *testing.T) (port int, record func() map[string]int) {
	t.Helper()
	path, err := exec.LookPath("smtp-sink")
	if err != nil {
		path = "/usr/sbin/smtp-sink"
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("MAILBLAST_TEST_POSTFIX") == "required" {
			t.Fatal("smtp-sink is required and not there: ", err)
		}
		t.Skip("smtp-sink (Postfix) is not installed")
	}
	// A folder that the server may write to as nobody.
	dir, err := os.MkdirTemp("", "smtp-sink-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	args := []string{"-c", "-d", filepath.Join(dir, "%M."), fmt.Sprint("127.0.0.1:", port), "1000"}
	if u, err := user.Current(); err == nil && u.Uid == "0" {
		args = append([]string{"-u", "nobody"}, args...)
	}
	c := exec.Command(path, args...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	if !harness.Eventually(func() bool { return harness.Listens(fmt.Sprint("127.0.0.1:", port)) }) {
		t.Fatal("smtp-sink does not listen")
	}
	return port, func() map[string]int {
		taken := map[string]int{}
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			content, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(strings.NewReader(string(content)))
			for lines.Scan() && lines.Text() != "" {
				if to, ok := strings.CutPrefix(lines.Text(), "X-Rcpt-Args: <"); ok {
					taken[strings.TrimSuffix(to, ">")]++
				}
			}
		}
		return taken
	}
}
