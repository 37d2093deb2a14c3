package e2e

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"mailblast/sender/sink"
)

// write lays files into the site's folder.
func (s *site) write(files map[string]string) {
	s.t.Helper()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// output runs the command and returns its exit code and all that it said.
func (s *site) output(args ...string) (code int, out []byte) {
	s.t.Helper()
	c := s.command(args...)
	defer time.AfterFunc(time.Minute, func() { c.Process.Kill() }).Stop()
	out, err := c.CombinedOutput()
	if c.ProcessState == nil || c.ProcessState.ExitCode() < 0 {
		s.t.Fatalf("%q: %v\n%q", args, err, out)
	}
	return c.ProcessState.ExitCode(), out
}

// A tap passes connections on to a server and keeps what the client says.
type tap struct {
	mu   sync.Mutex
	said []*bytes.Buffer // by connection
	port int
}

func newTap(t *testing.T, to int) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &tap{port: l.Addr().(*net.TCPAddr).Port}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", to))
			if err != nil {
				client.Close()
				continue
			}
			said := &bytes.Buffer{}
			p.mu.Lock()
			p.said = append(p.said, said)
			p.mu.Unlock()
			go func() {
				io.Copy(client, server)
				client.Close()
			}()
			go func() {
				io.Copy(io.MultiWriter(lockedWriter{&p.mu, said}, server), client)
				server.Close()
			}()
		}
	}()
	return p
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// lines are all lines that any client has said, after a look at their ends.
func (p *tap) lines(t *testing.T) []string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, said := range p.said {
		text := said.String()
		if bare := strings.ReplaceAll(text, "\r\n", ""); strings.ContainsAny(bare, "\r\n\x00") {
			t.Errorf("a bare CR or LF, or a NUL, went over the wire: %q", text)
		}
		all = append(all, strings.Split(text, "\r\n")...)
	}
	return all
}

// Whatever stands in a list or a template: each recipient gets one message, with the header fields of all the others, and
// reads the text in it.
func TestHostileContent(t *testing.T) {
	const smuggled = "\r\n.\r\nMAIL FROM:<eve@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nsubject: evil\r\n\r\nevil\r\n.\r\n"
	maildir := filepath.Join(t.TempDir(), "maildir")
	port, w := startSink(t, sink.Options{Dir: maildir})
	wire := newTap(t, port)
	s := newSite(t, wire.port)
	cells := map[string]string{
		"smuggled": smuggled, "lf": strings.ReplaceAll(smuggled, "\r\n", "\n"), "cr": strings.ReplaceAll(smuggled, "\r\n", "\r"), "lfdot": "a\n.\r\nb\r\n.\nc", "crdot": "a\r.\rb\n\r.\n\rc",
		"header": "x\r\nBcc: victim@example.com\r\nSubject: evil\r\n\r\n<b>evil</b>", "folded": "x\r\n Bcc: victim@example.com\n\tb", "separator": "a\u2028Bcc: b\u2029c\u0085Bcc: d",
		"words": "=?utf-8?q?=0D=0ABcc:_victim=40example.com?=", "boundary": "\r\n--=_\r\nContent-Type: text/html\r\n\r\n", "dots": ".\n..\n.", "long": strings.Repeat("x", 5000),
		"escape": "\x1b[2J\x07\x7f\b", "empty": "", "template": "{{ .email }}{{ define \"x\" }}", "bidi": "\u202egpj.exe",
	}
	list := bytes.NewBufferString("email,cell\n")
	for name, cell := range cells {
		fmt.Fprintf(list, "%s@example.com,\"%s\"\n", name, strings.ReplaceAll(cell, `"`, `""`))
	}
	// Not UTF-8, overlong forms of CR and LF, and NUL: such rows are refused.
	list.WriteString("octet@example.com,a\xff\noverlong@example.com,a\xc0\x8d\xc0\x8aBcc: b\nsurrogate@example.com,a\xed\xa0\x80\nnul@example.com,a\x00b\n")
	s.write(map[string]string{
		"evil.csv": list.String(),
		"evil.txt": "first line\r.\r\nMAIL FROM:<eve@example.com>\n.\n\x00\x1b[2J\r\n\r\n[{{ .cell }}]\n.\r\n",
		"evil.yaml": `
name: evil
from: '"Eve \"\\; <eve@example.com>, " <news@example.com>'
subject: 'Hello {{ .cell }}'
headers: {X-Cell: '{{ .cell }}'}
recipients: evil.csv
text: evil.txt
attachments: ['a "b"; filename=evil.exe; .pdf']
smtp: {host: localhost, port: '${SMTP_PORT}', security: none, connections: 2}
`, `a "b"; filename=evil.exe; .pdf`: "x"})
	if code, out := s.output("send", "evil.yaml"); code != 2 || !bytes.Contains(out, []byte("not UTF-8")) {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	if code := s.run("send", "evil.yaml", "--skip-invalid", "--encoding", "utf-8"); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if len(w.taken) != len(cells) {
		t.Errorf("%d recipients, want %d: %v", len(w.taken), len(cells), w.taken)
	}
	for name := range cells {
		if n := w.taken[name+"@example.com"]; n != 1 {
			t.Errorf("%s got %d messages", name, n)
		}
	}
	wire.lines(t)
	files, err := filepath.Glob(filepath.Join(maildir, "new", "*"))
	if err != nil || len(files) != len(cells) {
		t.Fatalf("%d messages in the Maildir, want %d (%v)", len(files), len(cells), err)
	}
	for _, file := range files {
		checkHostile(t, file, cells)
	}
}

// checkHostile looks at one message of TestHostileContent.
func checkHostile(t *testing.T, file string, cells map[string]string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	header, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	fields := 0
	for line := range strings.SplitSeq(string(header), "\r\n") {
		if line[0] != ' ' && line[0] != '\t' {
			fields++
		}
	}
	if fields != 8 {
		t.Errorf("%d header fields, want 8:\n%s", fields, header)
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(m.Header.Get("To"), "@")
	cell, known := cells[name]
	if !known || m.Header.Get("Bcc") != "" {
		t.Fatalf("an unknown message:\n%s", raw)
	}
	words := func(s string) string {
		return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }), " ")
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if want := "Hello " + cell; err != nil || words(subject) != words(want) {
		t.Errorf("%s: subject %q (%v), want %q", name, subject, err, want)
	}
	_, rest, _ := bytes.Cut(raw, []byte("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "))
	encoding, rest, _ := bytes.Cut(rest, []byte("\r\n\r\n"))
	part, _, _ := bytes.Cut(rest, []byte("\r\n--=_"))
	if name == "boundary" && string(encoding) == "7bit" { // the text has a line that begins like a boundary
		part, _, _ = bytes.Cut(rest, []byte("\r\nContent-Type: application/pdf"))
		part = part[:bytes.LastIndex(part, []byte("\r\n--=_"))]
	}
	text := string(part)
	if string(encoding) == "quoted-printable" {
		decoded, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(part)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		text = string(decoded)
	}
	if want := "first line . MAIL FROM:<eve@example.com> . [2J [" + cell + "] ."; words(text) != words(want) {
		t.Errorf("%s: the text is\n%q, want\n%q", name, words(text), words(want))
	}
}

// Addresses that would put something into the envelope that does not belong there are no addresses.
func TestHostileAddresses(t *testing.T) {
	port, w := startSink(t, sink.Options{})
	wire := newTap(t, port)
	s := newSite(t, wire.port)
	refused := []string{
		`"v@x> ORCPT=a@b"@c.example`, `"a\" b"@c.example`, `a@b>RCPT`, `a@b.example> NOTIFY=NEVER`, `<a@b.example>`, `a@b.example SIZE=1`, "a@b.example\r\nDATA", "a@b.example\nDATA",
		"\"a\rb\"@c.example", "\"a\\\r\nb\"@c.example", `"<a"@b.example`, `"a>"@b.example`, `"a`, `"a"b@c.example`, `@relay.example:a@b.example`, `a@b.example,c@d.example`, `a@b@c.example`, `a@[127.0.0.1`,
		"a\u2028b@c.example", "a@b\u2028.example", "a\u0085b@c.example", "a\u202eb@c.example", "a\u200bb@c.example", "\u0301a@c.example", "a@b.example\u037e c@d.example", "a＠b.example", "a\u00a0b@c.example",
		`a@b.example"`, `a@b_c.example`, `a@.example`, strings.Repeat("a", 65) + "@b.example", `|sh@b.example x`, "a\tb@c.example", `a(x)@b.example`,
	}
	// These are odd, and addresses: quotes that are not needed go, full-width dots are dots, other alphabets stay apart.
	taken := map[string]string{`"a"@b.example`: "a@b.example", `"a..b"@c.example`: `"a..b"@c.example`, `"x@y"@c.example`: `"x@y"@c.example`, "w@b．example": "w@b.example", "z@ex\u00e4mple.example": "z@xn--exmple-cua.example"}
	list := bytes.NewBufferString("email,first name,city\n")
	for i, a := range append(slices.Clone(refused), "\"v@x> ORCPT=a@b\"@c") {
		fmt.Fprintf(list, "\"%s\",%d,x\n", strings.ReplaceAll(a, `"`, `""`), i)
	}
	for a := range taken {
		fmt.Fprintf(list, "\"%s\",a,x\n", strings.ReplaceAll(a, `"`, `""`))
	}
	s.write(map[string]string{"odd.csv": list.String()})
	if code, out := s.output("send", "campaign.yaml", "--recipients", "odd.csv"); code != 2 || !bytes.Contains(out, fmt.Appendf(nil, "rows that cannot be mailed: %d", len(refused)+1)) {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if said := wire.lines(t); len(said) > 0 {
		t.Errorf("a server was spoken to: %q", said)
	}
	s.run("send", "campaign.yaml", "--recipients", "odd.csv", "--skip-invalid")
	want := map[string]int{}
	for _, a := range taken {
		want[a] = 1
	}
	var rcpts []string
	for _, line := range wire.lines(t) {
		if rest, ok := strings.CutPrefix(line, "RCPT TO:"); ok {
			rcpts = append(rcpts, rest)
			if inner := strings.TrimSuffix(strings.TrimPrefix(rest, "<"), ">"); "<"+inner+">" != rest || want[inner] != 1 {
				t.Errorf("the envelope has %q", line)
			}
		}
	}
	if len(rcpts) != len(want) || len(w.taken) != len(want) {
		t.Errorf("the envelopes have %q, taken %v, want %v", rcpts, w.taken, want)
	}
}

// A rogue is an SMTP server that says what it was told to say at each command, and elsewhere what a kind one says.
type rogue struct {
	greeting string
	reply    func(line string, before []string) string // before: what this session has said; "": be kind
	tls      *tls.Config

	mu    sync.Mutex
	lines []string
	data  chan struct{} // when set, DATA is answered only after a receive; closed at the end
}

func (r *rogue) start(t *testing.T) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if r.tls != nil {
		l = tls.NewListener(l, r.tls)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(conn)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func (r *rogue) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	say := func(s string) { io.WriteString(conn, s+"\r\n") }
	say(r.greeting)
	var before []string
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		r.mu.Lock()
		r.lines = append(r.lines, line)
		answer := r.reply(line, before)
		r.mu.Unlock()
		before = append(before, line)
		command := strings.ToUpper(line)
		switch {
		case answer != "":
			say(answer)
		case strings.HasPrefix(command, "DATA"):
			if r.data != nil {
				<-r.data
			}
			say("354 go on")
			for line != ".\r\n" {
				if line, err = in.ReadString('\n'); err != nil {
					return
				}
			}
			say("250 2.0.0 taken")
		case strings.HasPrefix(command, "QUIT"):
			say("221 bye")
			return
		default:
			say("250 2.0.0 ok")
		}
	}
}

// checkCalm looks for what could steer a terminal.
func checkCalm(t *testing.T, what string, out []byte) {
	t.Helper()
	if !utf8.Valid(out) {
		t.Errorf("%s is not UTF-8: %q", what, out)
	}
	for _, r := range string(out) {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
			t.Errorf("%s has %q in it: %q", what, r, out)
			return
		}
	}
}

// Whatever a server, a certificate, a list, a file's name or the queue says: nothing of it steers a terminal or a
// spreadsheet.
func TestHostileOutput(t *testing.T) {
	const evil = "\x1b]0;pwned\x07\x1b[2J\x1b[31m\u009b31m\x9b32m\x7f\b\u202egpj\u2066x\u2028y\u0085z\r"
	server := &rogue{greeting: "220 " + evil, reply: func(line string, _ []string) string {
		switch {
		case strings.HasPrefix(line, "EHLO"):
			return "250-" + evil + "\r\n250 AUTH PLAIN " + evil
		case strings.HasPrefix(line, "RCPT TO:<ada@"):
			return "550-5.1.1 =cmd|' /C calc'!A0 " + evil + "\r\n550 5.1.1 \t@SUM(1) " + evil
		case strings.HasPrefix(line, "RCPT TO:<max@"):
			return "550 " + evil + "\r\n" // and a line that nobody asked for
		case strings.HasPrefix(line, "RCPT TO:<zoe@"):
			return "451 4.7.1 " + evil
		}
		return ""
	}}
	s := newSite(t, server.start(t))
	s.write(map[string]string{
		"rows.csv":              "email,first name,city\n\"=1+1" + strings.ReplaceAll(strings.ReplaceAll(evil, "\r", ""), "\x9b", "") + "\",a,b\n@SUM(1),a,b\nada@example.com,a,b\n",
		"c" + "\x1b[31m.yaml":   "name: x\x1b[31m\n",
		"d" + "\x1b[31m.csv":    "email\n@\n",
		"keys.yaml":             "\"na\\e[31mme\": x\nname: \"\\e[31m\"\nsubject: '{{ .x" + evil + " }}'\n",
		"template.yaml":         "name: t\nfrom: a@example.com\nsubject: x\nrecipients: rows.csv\ntext: \"evil.txt\"\nattachments: [\"\u202egone.pdf\"]\nsmtp: {host: localhost}\n",
		"evil.txt":              "{{ .x\x1b[31m }}{{ template \"\u202e\x1b\" }}{{ \"\u009b\" | nix }}",
		"sub" + "\u202egpj.csv": "email\nx\n",
	})
	for _, args := range [][]string{
		{"send", "campaign.yaml", "--wait", "0s"},
		{"send", "campaign.yaml", "--wait", "0s", "--name", "logged", "--log-format", "json"},
		{"send", "campaign.yaml", "--name", "rows", "--recipients", "rows.csv"},
		{"send", "campaign.yaml", "--name", "rows", "--recipients", "rows.csv", "--skip-invalid", "--wait", "0s"},
		{"send", "c\x1b[31m.yaml"}, {"send", "none" + evil + ".yaml"}, {"send", "keys.yaml"}, {"send", "template.yaml"},
		{"send", "campaign.yaml", "--name", evil}, {"send", "campaign.yaml", "--recipients", "d\x1b[31m.csv"}, {"send", "campaign.yaml", "--recipients", evil},
		{"send", "campaign.yaml", "--recipients", "sub\u202egpj.csv"}, {"send", "campaign.yaml", "--encoding", evil}, {"send", "campaign.yaml", "--" + evil},
		{evil}, {"report", evil}, {"resume", evil}, {"retry", evil, "--failed"}, {"purge", evil}, {"purge", "--older-than", evil}, {"--db", evil, "report"}, {"explain", "550 " + evil},
		{"report", "--state", evil}, {"report", "--format", evil}, {"--log-format", evil, "status"}, {"sink", "--fail", evil}, {"init", "none" + evil},
		{"resume", "--wait", "0s"}, {"status"}, {"status", "--format", "json"}, {"__complete", "report", ""},
		{"report", "spring-sale"}, {"report", "rows"}, {"report", "spring-sale", "--format", "json"}, {"report", "rows", "--format", "json"},
		{"report", "spring-sale", "--format", "csv"}, {"report", "rows", "--format", "csv"}, {"report", "rows", "--format", "csv", "--raw"},
	} {
		_, out := s.output(args...)
		checkCalm(t, fmt.Sprintf("%q", args), out)
	}
	for _, format := range []string{"json", "csv", "table"} {
		for _, name := range []string{"spring-sale", "rows"} {
			s.output("report", name, "--format", format, "--output", "out")
			out, err := os.ReadFile(filepath.Join(s.dir, "out"))
			if err != nil || !bytes.Contains(out, []byte("ada@example.com")) || !bytes.Contains(out, []byte("SUM(1)")) {
				t.Errorf("%s of %s: %v\n%s", format, name, err, out)
			}
			checkCalm(t, format, out)
			if format == "csv" && !bytes.Contains(out, []byte("'=")) {
				t.Errorf("a formula: %s", out)
			}
			if format == "json" && !json.Valid(out) {
				t.Errorf("not JSON: %s", out)
			}
		}
	}

	// A queue that somebody else has written.
	db, err := sql.Open("sqlite3", filepath.Join(s.dir, "queue.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"UPDATE campaign SET name = ?1 || id, path = ?1", "UPDATE job SET address = ?1 || id || '@' || ?1, text = ?1, status = ?1, server = ?1"} {
		if _, err := db.Exec(query, evil); err != nil {
			t.Fatal(err)
		}
	}
	db.Close()
	for _, args := range [][]string{{"status"}, {"status", "--format", "json"}, {"report"}, {"report", "--format", "json"}, {"report", "--format", "csv", "--raw"}, {"resume", "--wait", "0s"}, {"report", "none"}, {"__complete", "report", ""}, {"purge", "--older-than", "1ms"}} {
		_, out := s.output(args...)
		checkCalm(t, fmt.Sprintf("%q of a strange queue", args), out)
	}
}

// A certificate can be made out to anything.
func TestHostileCertificate(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const evil = "x\x1b[2J\x07.example"
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: evil + "\u202e", Organization: []string{evil}}, DNSNames: []string{evil},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	server := &rogue{greeting: "220 hello", reply: func(string, []string) string { return "" }, tls: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}}
	s := newSite(t, server.start(t))
	s.write(map[string]string{"ca.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		"tls.yaml": "name: tls\nfrom: a@example.com\nsubject: x\nrecipients: recipients.csv\nhtml: newsletter.html\npartials: [footer.html]\ninline: [logo.png]\n" +
			"smtp: {host: localhost, port: '${SMTP_PORT}', security: tls, ca_file: ca.pem}\n"})
	for _, args := range [][]string{{"send", "tls.yaml", "--wait", "0s"}, {"resume", "--wait", "0s", "--log-format", "json"}, {"report"}} {
		code, out := s.output(args...)
		checkCalm(t, fmt.Sprintf("%q", args), out)
		if args[0] == "send" && (code != 4 || !bytes.Contains(out, []byte("certificate"))) {
			t.Errorf("exit code %d:\n%s", code, out)
		}
	}
}

// The password is nowhere but in the environment and on the way to the server: not in a file, not in what is said, not in
// the arguments of the process, in none of its forms, however a run ends.
func TestCanary(t *testing.T) {
	const user, password, wrong = "ada", "canary-3f9a7!d81", "canary-0b5c2?e64"
	for _, mechanism := range []string{"PLAIN", "LOGIN", "CRAM-MD5"} {
		t.Run(mechanism, func(t *testing.T) {
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
			secure, err := os.ReadFile(filepath.Join(s.dir, "campaign.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			s.write(map[string]string{"secure.yaml": strings.Replace(string(secure), "smtp:", "smtp:\n  username: ada\n  password: ${SMTP_PASSWORD}", 1)})
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
			c := s.command("send", "secure.yaml", "--log-format", "json")
			var said bytes.Buffer
			c.Env, c.Stdout, c.Stderr = append(c.Env, "SMTP_PASSWORD="+password), &said, &said
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(20 * time.Second); server.heard("DATA") == 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					c.Process.Kill()
					c.Wait()
					t.Fatalf("no message was begun:\n%s", said.Bytes())
				}
			}
			cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", c.Process.Pid))
			if err != nil || !bytes.Contains(cmdline, []byte("secure.yaml")) {
				t.Errorf("%q, %v", cmdline, err)
			}
			search("the command line", cmdline)
			searchFiles("while it runs")
			c.Process.Kill()
			c.Wait()
			search("the output of the killed run", said.Bytes())
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

// heard is how many lines began with this.
func (r *rogue) heard(command string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if strings.HasPrefix(line, command) {
			n++
		}
	}
	return n
}
