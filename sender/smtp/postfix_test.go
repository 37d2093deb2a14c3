//go:build unix

package smtp

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailblast/campaign/mail"
)

// What a Postfix of our own is told. It delivers to a Maildir, refuses some recipients, and takes no message above
// 100,000 octets.
const (
	postfixMain = `
compatibility_level = 3.6
queue_directory = DIR/queue
data_directory = DIR/data
maillog_file_prefixes = DIR
maillog_file = DIR/log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.com
mydestination =
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = example.com
virtual_mailbox_maps = static:box/
virtual_mailbox_base = DIR/mail
virtual_uid_maps = static:UID
virtual_gid_maps = static:GID
virtual_minimum_uid = 1
mynetworks = 127.0.0.0/8
smtpd_discard_ehlo_keywords =
smtpd_recipient_restrictions = check_recipient_access regexp:DIR/conf/access, permit_mynetworks, reject
message_size_limit = 100000
smtpd_tls_security_level = may
smtpd_tls_chain_files = DIR/conf/tls.pem
`
	postfixMaster = `
postlog unix-dgram n - n - 1 postlogd
127.0.0.1:PORT inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
error unix - - n - - error
tlsmgr unix - - n 1000? 1 tlsmgr
`
	postfixAccess = "/^refused/ 550 5.1.1 no such user\n/^later/ 450 4.2.2 mailbox full\n"
)

// startPostfix starts the real server, with a configuration and a queue of its own and a certificate for 127.0.0.1.
// delivered reads its Maildir once so many messages are there: the contents by recipient.
func startPostfix(t *testing.T, certificate tls.Certificate) (port int, delivered func(n int) map[string][]string) {
	t.Helper()
	absent := t.Skip
	if os.Getenv("MAILBLAST_TEST_POSTFIX") == "required" {
		absent = t.Fatal
	}
	programs := "/usr/lib/postfix/sbin"
	if out, err := exec.Command("/usr/sbin/postconf", "-dh", "daemon_directory").Output(); err == nil {
		programs = strings.TrimSpace(string(out))
	}
	master := filepath.Join(programs, "master")
	owner, err := osuser.Lookup("postfix")
	if _, statErr := os.Stat(master); err != nil || statErr != nil {
		absent("Postfix is not installed: ", err, statErr)
	}
	nobody, err := osuser.Lookup("nobody")
	if err != nil || os.Geteuid() != 0 {
		absent("only root can start Postfix: ", err)
	}
	// Its servers are not root, and must get through to it.
	dir, err := os.MkdirTemp("", "postfix-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chmod(dir, 0o755)
	for folder, u := range map[string]*osuser.User{
		"conf": nil, "queue/pid": nil, "data": owner, "mail": nobody, "queue/public": owner, "queue/private": owner, "queue/maildrop": owner,
		"queue/incoming": owner, "queue/active": owner, "queue/deferred": owner, "queue/bounce": owner, "queue/defer": owner, "queue/trace": owner,
		"queue/corrupt": owner, "queue/hold": owner, "queue/flush": owner, "queue/saved": owner,
	} {
		path := filepath.Join(dir, folder)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if u != nil {
			uid, _ := strconv.Atoi(u.Uid)
			if err := os.Chown(path, uid, -1); err != nil {
				t.Fatal(err)
			}
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	fill := strings.NewReplacer("DIR", dir, "PORT", strconv.Itoa(port), "UID", nobody.Uid, "GID", nobody.Gid)
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	chain := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})) + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}))
	for name, content := range map[string]string{"main.cf": postfixMain, "master.cf": postfixMaster, "access": postfixAccess, "tls.pem": chain} {
		if err := os.WriteFile(filepath.Join(dir, "conf", name), []byte(fill.Replace(content)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command(master, "-d", "-c", filepath.Join(dir, "conf"))
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it ends its servers by their group
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Signal(syscall.SIGTERM)
		c.Wait()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("Postfix says:\n%s", log)
		}
	})
	await(t, "Postfix listens", func() bool {
		conn, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return port, func(n int) map[string][]string {
		t.Helper()
		var files []string
		await(t, fmt.Sprint(n, " messages are delivered"), func() bool {
			files, _ = filepath.Glob(filepath.Join(dir, "mail/box/new/*"))
			return len(files) >= n
		})
		contents := map[string][]string{}
		for _, f := range files {
			content, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			_, to, _ := strings.Cut(string(content), "\nX-Original-To: ")
			to, _, _ = strings.Cut(to, "\n")
			contents[to] = append(contents[to], string(content))
		}
		return contents
	}
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(hang); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not so in time: ", what)
		}
	}
}

// A letter is a message for Postfix, and what it should say to it.
type letter struct {
	mail.Message
	content string
	want    string
}

// letters are for different recipients, of whom some are refused, and some messages are too large, whether they say so
// or not.
func letters(name string, n int) []letter {
	var all []letter
	for i := range n {
		l := letter{want: "dot 250"}
		l.From, l.To = "news@example.com", fmt.Sprintf("%s%d@example.com", name, i)
		l.content = fmt.Sprintf("From: <%s>\r\nTo: <%s>\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-ID: <%d@example.com>\r\n\r\n.\r\n..\r\nRCPT TO:<other@example.com>\r\n"+
			"letter %d\r\n", l.From, l.To, i, i) + strings.Repeat("some line of some message\r\n", i)
		l.Size = len(l.content)
		switch i % 9 {
		case 2, 3:
			l.To, l.want = "refused-"+l.To, "rcpt 550"
		case 5:
			l.To, l.want = "later-"+l.To, "rcpt 450"
		case 7:
			l.content += strings.Repeat("some line of some message\r\n", 20_000)
			l.Size, l.want = len(l.content), "mail 552"
		case 8:
			l.content += strings.Repeat("some line of some message\r\n", 20_000)
			l.want = "dot 552" // by the wrong size
		}
		all = append(all, l)
	}
	return all
}

// TestPostfix: a real server understands what we send, and we what it says, message by message and with eight under
// way. It lets a later connection resume the TLS session of an earlier one.
func TestPostfix(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	port, delivered := startPostfix(t, ours.serverFor(t, "", time.Now().AddDate(0, 1, 0)).Certificates[0])
	const n = 54
	config := (&server{host: "127.0.0.1", port: port}).config()
	config.TLS = &tls.Config{RootCAs: ours.pool(), ClientSessionCache: tls.NewLRUClientSessionCache(0)}
	var all []letter
	for _, how := range []struct {
		name     string
		security Security
		depth    int
		send     func(t *testing.T, s *Session, letters []letter) []string
		resumes  bool
	}{
		{"data", None, 1, sendLetters, false}, {"bdat", None, 8, sendLettersWhole, false},
		{"data-tls", StartTLS, 1, sendLetters, false}, {"bdat-tls", StartTLS, 8, sendLettersWhole, true},
	} {
		letters := letters(how.name, n)
		config.Security, config.Depth = how.security, how.depth
		s := dial(t, config)
		if conn, ok := s.conn.(*tls.Conn); ok && conn.ConnectionState().DidResume != how.resumes {
			t.Errorf("%s: resumed %v, want %v", how.name, !how.resumes, how.resumes)
		}
		if s.Depth() != how.depth {
			t.Fatal("Postfix does not offer CHUNKING and PIPELINING")
		}
		for i, got := range how.send(t, s, letters) {
			if got != letters[i].want {
				t.Errorf("%s, %s: got %q, want %q", how.name, letters[i].To, got, letters[i].want)
			}
		}
		if s.Broken() {
			t.Errorf("%s: the session is broken", how.name)
		}
		s.Quit()
		all = append(all, letters...)
	}
	taken := 0
	for _, l := range all {
		if l.want == "dot 250" {
			taken++
		}
	}
	contents := delivered(taken)
	for _, l := range all {
		got := contents[l.To]
		switch {
		case l.want != "dot 250" && len(got) > 0:
			t.Errorf("%s was refused, and has a message", l.To)
		case l.want == "dot 250" && (len(got) != 1 || !strings.HasSuffix(got[0], "\n"+strings.ReplaceAll(l.content, "\r\n", "\n"))):
			t.Errorf("%s has %d messages, or not what was sent: %.400q", l.To, len(got), got)
		}
		delete(contents, l.To)
	}
	if len(contents) > 0 {
		t.Errorf("messages for recipients nobody wrote to: %v", contents)
	}
}

// sendLetters sends by DATA, the next envelope behind each message.
func sendLetters(t *testing.T, s *Session, letters []letter) (outcomes []string) {
	offered := false
	for i, l := range letters {
		if !offered {
			s.Offer(&letters[i].Message)
		}
		got := answer(s)
		offered = got == "ready" && i+1 < len(letters)
		if got == "ready" {
			var next *mail.Message
			if offered {
				next = &letters[i+1].Message
			}
			got = send(s, pieces(l.content), next)
		}
		outcomes = append(outcomes, got)
	}
	return outcomes
}

// sendLettersWhole has up to eight under way.
func sendLettersWhole(t *testing.T, s *Session, letters []letter) (outcomes []string) {
	for i, l := range letters {
		if i-len(outcomes) == 8 {
			outcomes = append(outcomes, outcome(s))
		}
		if err := sendWhole(s, l.Message, pieces(l.content)); err != nil {
			t.Fatalf("%s: %v", l.To, err)
		}
	}
	for len(outcomes) < len(letters) {
		outcomes = append(outcomes, outcome(s))
	}
	return outcomes
}
