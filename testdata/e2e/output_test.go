package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// Whatever a server, a certificate, a list, a file's name or the queue says: nothing of it steers a terminal or a
// spreadsheet.
func TestHostileOutput(t *testing.T) {
	t.Parallel()
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
	db := s.openQueue(10 * time.Second)
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
