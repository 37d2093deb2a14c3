package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mailblast/sender/sink"
)

// A site is a folder with a queue and the demo campaign, and the server that it sends to.
type site struct {
	t    *testing.T
	dir  string
	port int
}

func newSite(t *testing.T, port int) *site {
	s := &site{t: t, dir: t.TempDir(), port: port}
	if err := copyDemo(s.dir); err != nil {
		t.Fatal(err)
	}
	return s
}

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
	out, err := s.command(args...).CombinedOutput()
	s.t.Logf("mailblast %s: %v\n%s", strings.Join(args, " "), err, out)
	if err != nil && err.(*exec.ExitError).ExitCode() < 0 {
		s.t.Fatal(err)
	}
	if err != nil {
		return err.(*exec.ExitError).ExitCode()
	}
	return 0
}

// states is each recipient's state, by the report.
func (s *site) states() map[string]string {
	s.t.Helper()
	out, err := s.command("report", "--format", "json").Output()
	if err != nil {
		s.t.Fatal(err)
	}
	var report struct {
		Recipients []struct{ Email, State string }
	}
	if err := json.Unmarshal(out, &report); err != nil {
		s.t.Fatal(err)
	}
	states := map[string]string{}
	for _, r := range report.Recipients {
		if states[r.Email] != "" {
			s.t.Errorf("%s is there twice", r.Email)
		}
		states[r.Email] = r.State
	}
	return states
}

// A witness counts what a server has taken, by recipient, before it says so.
type witness struct {
	mu    sync.Mutex
	taken map[string]int
}

func (w *witness) accept(m sink.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, to := range m.To {
		w.taken[to]++
	}
}

// startSink starts a server in this process.
func startSink(t *testing.T, o sink.Options) (port int, w *witness) {
	t.Helper()
	w = &witness{taken: map[string]int{}}
	o.Listen, o.OnAccept = "127.0.0.1:0", w.accept
	server, err := sink.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close(context.Background()) })
	return server.Addr().(*net.TCPAddr).Port, w
}

// Every recipient gets one message, by the record of our own server and of one that we did not write.
func TestDeliverToEveryone(t *testing.T) {
	const n = 2000
	t.Run("sink", func(t *testing.T) {
		port, w := startSink(t, sink.Options{})
		s := newSite(t, port)
		if code := s.run("send", "campaign.yaml", "--recipients", writeList(t, s.dir, n)); code != 0 {
			t.Errorf("exit code %d", code)
		}
		checkOnce(t, n, w.taken, s.states())
		if code := s.run("send", "campaign.yaml", "--recipients", writeList(t, s.dir, n)); code != 0 || len(w.taken) != n {
			t.Errorf("the same again: exit code %d, %d recipients", code, len(w.taken))
		}
		checkOnce(t, n, w.taken, s.states())
	})
	t.Run("smtp-sink", func(t *testing.T) {
		port, record := startPostfixSink(t)
		s := newSite(t, port)
		if code := s.run("send", "campaign.yaml", "--recipients", writeList(t, s.dir, n)); code != 0 {
			t.Errorf("exit code %d", code)
		}
		checkOnce(t, n, record(), s.states())
	})
}

func checkOnce(t *testing.T, n int, taken map[string]int, states map[string]string) {
	t.Helper()
	if len(taken) != n || len(states) != n {
		t.Errorf("the server has %d recipients, the report %d; want %d", len(taken), len(states), n)
	}
	for address, times := range taken {
		if times != 1 || states[address] != "sent" {
			t.Errorf("%s: taken %d times, reported as %q", address, times, states[address])
		}
	}
}

// startPostfixSink starts the test server of Postfix, which writes each message to a file of its own. record reads them.
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
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("smtp-sink does not listen: ", err)
		}
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

// kill -9 in the middle, again and again, until the rest is through: nobody gets two, nobody is forgotten, and no more are
// in doubt than two for each connection and kill.
func TestKill(t *testing.T) {
	const n, connections = 2000, 10
	port, w := startSink(t, sink.Options{Latency: time.Millisecond})
	s := newSite(t, port)
	list := writeList(t, s.dir, n)
	kills := 0
	for i := range 6 {
		args := []string{"send", "campaign.yaml", "--recipients", list}
		if i%2 == 1 {
			args = []string{"resume"} // which has nothing to go on with where the kill before it hit the loading
		}
		c := s.command(args...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		// A while after it has begun to send, or after a second: a kill while the list is loaded counts too.
		enough := w.count() + rand.IntN(400)
		for start := time.Now(); w.count() < enough && time.Since(start) < time.Second; {
			time.Sleep(time.Millisecond)
		}
		c.Process.Kill()
		if c.Wait() != nil && c.ProcessState.ExitCode() < 0 {
			kills++
		}
	}
	if code := s.run("send", "campaign.yaml", "--recipients", list); code != 0 && code != 3 {
		t.Errorf("exit code %d", code)
	}
	states := s.states()
	doubt := 0
	for i := range n {
		address := fmt.Sprintf("reader%d@example.com", i)
		state, times := states[address], w.taken[address]
		switch {
		case state == "in_doubt" && times <= 1:
			doubt++
		case state == "sent" && times == 1:
		default:
			t.Errorf("%s: %s, taken %d times", address, state, times)
		}
	}
	t.Logf("%d kills, %d in doubt", kills, doubt)
	if bound := 2 * connections * kills; doubt > bound {
		t.Errorf("%d in doubt, the bound is %d", doubt, bound)
	}
	if kills < 3 {
		t.Errorf("only %d kills hit a running process", kills)
	}
}

func (w *witness) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.taken)
}

// Whoever is put on the suppression list while a campaign is sent, by another process, is not sent to, even if the run has claimed
// everybody by then. Nothing is said of the two that have begun.
func TestSuppressWhileSending(t *testing.T) {
	const n, late = 24, 2
	s := newSite(t, 0)
	var taken []string
	server, err := sink.Start(t.Context(), sink.Options{Listen: "127.0.0.1:0", OnAccept: func(m sink.Message) { // before it says so
		if taken = append(taken, m.To...); len(taken) > 1 {
			return
		}
		args := []string{"suppress", "add", "@.example.org"}
		for i := late; i < n; i += 2 {
			args = append(args, fmt.Sprintf("Reader%d@Example.COM", i))
		}
		if code := s.run(args...); code != 0 {
			t.Errorf("suppress add: exit code %d", code)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close(context.Background())
	s.port = server.Addr().(*net.TCPAddr).Port
	path := filepath.Join(s.dir, "campaign.yaml")
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	source = append(bytes.Replace(source, []byte("connections: 10"), []byte("connections: 1"), 1), "delivery: {batch: 1}\n"...)
	if err := os.WriteFile(path, source, 0o600); err != nil {
		t.Fatal(err)
	}
	if code := s.run("send", "campaign.yaml", "--recipients", writeList(t, s.dir, n)); code != 0 {
		t.Errorf("exit code %d", code)
	}
	states := s.states()
	for i := range n {
		address, want := fmt.Sprintf("reader%d@example.com", i), "sent"
		if i >= late && i%2 == 0 {
			want = "suppressed"
		}
		if states[address] != want || slices.Contains(taken, address) != (want == "sent") {
			t.Errorf("%s is %s, want %s; taken: %v", address, states[address], want, taken)
		}
	}
}

// An import of suppressions holds no more than a few rows at a time, however long the list is: what is alive after each collection stays below
// what the addresses alone would take.
func TestImportIsFlat(t *testing.T) {
	t.Parallel()
	const n, most = 100_000, 3 // megabytes
	s := newSite(t, 0)
	list := bytes.NewBufferString("email,reason\n")
	for i := range n {
		fmt.Fprintf(list, "reader%d@example%d.com,unsubscribed by link\n", i, i%1000)
	}
	s.write(map[string]string{"suppressed.csv": list.String()})
	c := s.command("suppress", "import", "suppressed.csv")
	c.Env = append(c.Env, "GODEBUG=gctrace=1", "GOGC=100")
	out, err := c.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("100,000 added")) {
		t.Fatalf("%v\n%s", err, out)
	}
	// gc 7 @0.155s 1%: …, 3->4->1 MB, 4 MB goal, …: at its beginning, at its end, and what is alive.
	collections := regexp.MustCompile(`(?m)^gc .*, \d+->\d+->(\d+) MB`).FindAllSubmatch(out, -1)
	if len(collections) < 10 {
		t.Errorf("%d collections are too few to tell:\n%s", len(collections), out)
	}
	for _, alive := range collections {
		if mb, err := strconv.Atoi(string(alive[1])); err != nil || mb > most {
			t.Errorf("%s MB are alive, want at most %d:\n%s", alive[1], most, alive[0])
		}
	}
}
