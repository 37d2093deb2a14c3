package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"mailblast/testdata/harness"
)

// The password is nowhere but in the environment and on the way to the server: not in a file, not in what is said, not
// in the arguments of the process, in none of its forms, however a run ends.
func TestCanary(t *testing.T) {
	t.Parallel()
	const user, password, wrong = "ada", "canary-3f9a7!d81", "canary-0b5c2?e64"
	for _, mechanism := range []string{"PLAIN", "LOGIN", "CRAM-MD5"} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			var accept atomic.Bool
			server := &rogue{greeting: "220 hello", data: make(chan struct{}, 100)}
			server.reply = func(line string, before []string) string {
				last := ""
				if len(before) > 0 {
					last = before[len(before)-1]
				}
				switch {
				case strings.HasPrefix(line, "EHLO"):
					return "250-hello\r\n250 AUTH " + mechanism
				case strings.HasPrefix(line, "AUTH LOGIN "): // with the user's name
					return "334 UGFzc3dvcmQ6"
				case line == "AUTH CRAM-MD5":
					return "334 " + base64.StdEncoding.EncodeToString([]byte("<1@x>"))
				case strings.HasPrefix(line, "AUTH PLAIN "), strings.HasPrefix(last, "AUTH LOGIN "), last == "AUTH CRAM-MD5":
					if accept.Load() {
						return "235 2.7.0 welcome"
					}
					decoded, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(line, "AUTH PLAIN "))
					return fmt.Sprintf("535-5.7.8 no: %s\r\n535-5.7.8 %s\r\n535 5.7.8 [%s]", line, bytes.ReplaceAll(decoded, []byte{0}, []byte(" ")), line[:len(line)-2])
				}
				return ""
			}
			s := newSite(t, server.start(t))
			s.write(map[string]string{"secure.yaml": strings.Replace(s.read("campaign.yaml"), "smtp:", "smtp:\n  username: ada\n  password: ${SMTP_PASSWORD}", 1)})
			var forms [][]byte
			for _, secret := range []string{password, wrong} {
				forms = append(forms, []byte(secret), []byte(base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+secret))), []byte(hex.EncodeToString([]byte(secret))))
				for shift := range 3 { // each way in which it can lie in base64, without the characters that depend on its neighbours
					text := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
					forms = append(forms, []byte(text[[]int{0, 2, 3}[shift]:len(text)-1]))
				}
			}
			search := func(where string, content []byte) {
				t.Helper()
				for _, form := range forms {
					if bytes.Contains(content, form) {
						t.Errorf("%s has the password, as %q", where, form)
					}
				}
			}
			searchFiles := func(when string) {
				t.Helper()
				err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
					if err != nil || d.IsDir() {
						return err
					}
					content, err := os.ReadFile(path)
					search(when+": "+filepath.Base(path), content)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			run := func(secret string, want int, args ...string) {
				t.Helper()
				c := s.command(args...)
				c.Env = append(c.Env, "SMTP_PASSWORD="+secret)
				out, _ := c.CombinedOutput()
				if got := c.ProcessState.ExitCode(); got != want {
					t.Errorf("%q: exit code %d, want %d:\n%s", args, got, want, out)
				}
				search(fmt.Sprintf("the output of %q", args), out)
				searchFiles(args[0])
			}
			run(wrong, 4, "send", "secure.yaml", "--name", "refused", "--wait", "0s")
			run(wrong, 4, "resume", "--wait", "0s", "--log-format", "json")
			run(wrong, 0, "report", "refused", "--format", "json", "--output", "out.json")
			accept.Store(true)

			// Killed with a message under way.
			p := s.process("send", "secure.yaml", "--log-format", "json")
			p.Env = append(p.Env, "SMTP_PASSWORD="+password)
			p.start()
			begun := harness.Eventually(func() bool { return server.heard("DATA") > 0 })
			cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.Process.Pid))
			if err != nil || !bytes.Contains(cmdline, []byte("secure.yaml")) {
				t.Errorf("%q, %v", cmdline, err)
			}
			search("the command line", cmdline)
			searchFiles("while it runs")
			p.kill()
			if !begun {
				t.Fatalf("no message was begun:\n%s", &p.said)
			}
			search("the output of the killed run", p.said.Bytes())
			searchFiles("after the kill")
			close(server.data)

			run(password, 0, "resume", "refused", "--log-format", "json")
			run(password, 0, "resume", "spring-sale", "--wait", "0s") // no message's last byte had left
			for _, args := range [][]string{{"status"}, {"report", "--format", "csv"}, {"report", "--format", "json"}, {"purge", "refused"}} {
				run(password, 0, args...)
			}
		})
	}
}
