package e2e

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"mailblast/testdata/harness"
)

// A site is a folder with a queue and the demo campaign, and the server that it sends to.
type site struct {
	t    *testing.T
	dir  string
	port int
}

func newSite(t *testing.T, port int) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), port: port}
	if err := harness.CopyDemo(s.dir); err != nil {
		t.Fatal(err)
	}
	return s
}

// write lays files into the site's folder.
func (s *site) write(files map[string]string) {
	s.t.Helper()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// read is the content of a file of the site.
func (s *site) read(name string) string {
	s.t.Helper()
	content, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(content)
}

// amend replaces a text in a file of the site.
func (s *site) amend(name, old, new string) {
	s.t.Helper()
	s.write(map[string]string{name: strings.ReplaceAll(s.read(name), old, new)})
}

// writeList writes list.csv, with n recipients of the demo campaign.
func (s *site) writeList(n int) {
	s.t.Helper()
	var b strings.Builder
	b.WriteString("email,first name,city\n")
	for i := range n {
		fmt.Fprintf(&b, "%s,Zoë %d,Göteborg\n", reader(i), i)
	}
	s.write(map[string]string{"list.csv": b.String()})
}

func reader(i int) string { return fmt.Sprintf("reader%d@example.com", i) }

// small lays a campaign of n recipients, claimed in batches, beside the demo's.
func (s *site) small(n, batch int, smtp string) (recipients []string) {
	s.t.Helper()
	var list strings.Builder
	list.WriteString("email,name\n")
	for i := range n {
		recipients = append(recipients, reader(i))
		fmt.Fprintf(&list, "%s,Reader %d\n", reader(i), i)
	}
	s.write(map[string]string{
		"list.csv": list.String(),
		"body.txt": "Dear {{ .name }}, this is the text as it was.\n",
		"small.yaml": "name: small\nfrom: Example News <news@example.com>\nsubject: As it was, {{ .name }}\nrecipients: list.csv\ntext: body.txt\n" +
			"delivery: {batch: " + strconv.Itoa(batch) + "}\nsmtp:\n  " + strings.ReplaceAll(smtp, ", ", "\n  ") + "\n",
	})
	return recipients
}

const plainSMTP = "host: 127.0.0.1, port: ${SMTP_PORT}, security: none, connections: 2"

// command is the real binary, in a process of its own.
func (s *site) command(args ...string) *exec.Cmd {
	c := exec.Command("mailblast", args...)
	c.Dir = s.dir
	c.Env = append(os.Environ(), "MAILBLAST_DB="+filepath.Join(s.dir, "queue.db"), fmt.Sprint("SMTP_PORT=", s.port))
	return c
}

// run runs it and returns its exit code.
func (s *site) run(args ...string) int {
	s.t.Helper()
	code, said := s.output(args...)
	s.t.Logf("mailblast %s: exit code %d\n%s", strings.Join(args, " "), code, said)
	return code
}

// output runs it and returns its exit code and all that it said.
func (s *site) output(args ...string) (code int, said []byte) {
	s.t.Helper()
	c := s.command(args...)
	defer time.AfterFunc(2*time.Minute, func() { c.Process.Kill() }).Stop()
	said, err := c.CombinedOutput()
	if c.ProcessState == nil || c.ProcessState.ExitCode() < 0 {
		s.t.Fatalf("%q: %v\n%q", args, err, said)
	}
	return c.ProcessState.ExitCode(), said
}

// openQueue opens the queue as a shell would. Whoever finds it locked waits for so long.
func (s *site) openQueue(patience time.Duration) *sql.DB {
	s.t.Helper()
	db, err := sql.Open("sqlite3", fmt.Sprintf("file:%s?_txlock=immediate&_busy_timeout=%d", filepath.Join(s.dir, "queue.db"), patience.Milliseconds()))
	if err != nil { // an impossible address: nothing was opened yet
		panic(err)
	}
	return db
}

// A row is what a report has of a recipient.
type row struct {
	Email, State, Server string
	Code                 int
	Updated              time.Time
}

// report is what the command of that name shows with these arguments.
func (s *site) report(args ...string) []row {
	s.t.Helper()
	out, err := s.command(append([]string{"report", "--format", "json"}, args...)...).Output()
	if err != nil {
		s.t.Fatal(err)
	}
	var report struct{ Recipients []row }
	if err := json.Unmarshal(out, &report); err != nil {
		s.t.Fatal(err)
	}
	return report.Recipients
}

// states is each recipient's state, by the report.
func (s *site) states() map[string]string {
	s.t.Helper()
	states := map[string]string{}
	for _, r := range s.report() {
		if states[r.Email] != "" {
			s.t.Errorf("%s is there twice", r.Email)
		}
		states[r.Email] = r.State
	}
	return states
}

// judge holds the end of a campaign against the record of the server: nobody was sent to twice, nobody is lost. It
// returns who is in doubt.
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

// judgeSettled is judge where nobody may be in doubt.
func (s *site) judgeSettled(w *witness, recipients []string) {
	s.t.Helper()
	if doubt := s.judge(w, recipients); len(doubt) > 0 {
		s.t.Errorf("in doubt: %q", doubt)
	}
}
