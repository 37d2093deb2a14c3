package cmd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A sinkRun is the command while it runs.
type sinkRun struct {
	address string // of "listening on …", "" when it did not come to that
	line    string // the whole first line of standard error
	done    chan error
	out     bytes.Buffer  // read after done
	rest    *bufio.Reader // of standard error
}

func runSinkCommand(t *testing.T, ctx context.Context, args ...string) *sinkRun {
	t.Helper()
	errs, w := io.Pipe()
	r := &sinkRun{done: make(chan error, 1), rest: bufio.NewReader(errs)}
	cmd := sinkCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(append([]string{"--listen", "127.0.0.1:0"}, args...))
	cmd.SetOut(&r.out)
	cmd.SetErr(w)
	go func() {
		err := cmd.ExecuteContext(ctx)
		w.Close()
		r.done <- err
	}()
	r.line, _ = r.rest.ReadString('\n')
	if rest, ok := strings.CutPrefix(r.line, "listening on "); ok {
		r.address = strings.TrimSuffix(strings.Fields(rest)[0], ",")
	}
	return r
}

func TestSinkCountsAndPrints(t *testing.T) {
	r := runSinkCommand(t, t.Context(), "--count", "2", "--print")
	for range 2 {
		if err := smtp.SendMail(r.address, nil, "a@example.com", []string{"b@example.com"}, []byte("Message-ID: <1@example.com>\r\n\r\nhello\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	summary, _ := io.ReadAll(r.rest)
	if err := <-r.done; err != nil {
		t.Fatal(err)
	}
	if want := "messages 2, recipients 1, duplicates 1, refused 0, connections 2, "; !strings.HasPrefix(string(summary), want) {
		t.Errorf("got summary %q, want %q", summary, want)
	}
	lines := json.NewDecoder(&r.out)
	for range 2 {
		var m printedMessage
		if err := lines.Decode(&m); err != nil {
			t.Fatal(err)
		}
		if m.From != "a@example.com" || len(m.To) != 1 || m.To[0] != "b@example.com" || m.MessageID != "1@example.com" || m.Size != 38 {
			t.Errorf("got %+v", m)
		}
	}
	if lines.More() {
		t.Error("more than two lines")
	}
}

func TestSinkInterrupted(t *testing.T) {
	for args, want := range map[string]string{
		"":          "",
		"--count=1": "interrupted after 0 of 1 messages",
	} {
		ctx, interrupt := context.WithCancel(t.Context())
		r := runSinkCommand(t, ctx, strings.Fields(args)...)
		interrupt()
		io.Copy(io.Discard, r.rest)
		if err := <-r.done; (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%q: got error %v, want %q", args, err, want)
		}
	}
}

func TestSinkThrowawayCertificate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	ctx, interrupt := context.WithCancel(t.Context())
	r := runSinkCommand(t, ctx, "--tls", "tls", "--ca-out", file, "--auth", "u:p:p")
	authority, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	conn, err := tls.Dial("tcp", r.address, &tls.Config{RootCAs: pool})
	if err != nil {
		t.Fatal(err)
	}
	client, err := smtp.NewClient(conn, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Auth(smtp.PlainAuth("", "u", "p:p", "127.0.0.1")); err != nil {
		t.Error(err)
	}
	client.Quit()
	interrupt()
	io.Copy(io.Discard, r.rest)
	if err := <-r.done; err != nil {
		t.Error(err)
	}
}

func TestSinkUsage(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for args, want := range map[string]string{
		"--fail RCPT=x":                       `invalid argument "RCPT=x" for "--fail" flag: column 6`,
		"--rate 5":                            `invalid argument "5" for "--rate" flag: column 1`,
		"--drop-after-dot 1.5":                "--drop-after-dot 1.5: not a probability",
		"--drop-after-dot NaN":                "--drop-after-dot NaN: not a probability",
		"--latency -1s":                       "--latency -1s",
		"--count -1":                          "--count -1",
		"--tls ssl":                           `--tls "ssl": neither starttls nor tls`,
		"--ca-out x":                          "a certificate needs --tls",
		"--tls tls --cert " + missing:         "if any flags in the group [cert key]",
		"--auth user":                         "--auth: not user:password",
		"--fail AUTH=535":                     `invalid argument "AUTH=535" for "--fail" flag: column 6`,
		"--tls tls --key x --cert " + missing: "--cert and --key: open ",
		"extra":                               "unknown command",
	} {
		r := runSinkCommand(t, t.Context(), strings.Fields(args)...)
		io.Copy(io.Discard, r.rest)
		err := <-r.done
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", args, err, want)
			continue
		}
		// What has no exit code of its own is an error of cobra's, and counts as usage.
		if known := (*exit)(nil); errors.As(err, &known) && known.code != exitUsage {
			t.Errorf("%s: exit code %d, want %d", args, known.code, exitUsage)
		}
	}
	r := runSinkCommand(t, t.Context(), "--fail", "AUTH=535 5.7.8 no")
	io.Copy(io.Discard, r.rest)
	if err := <-r.done; err == nil || !strings.Contains(err.Error(), "needs --auth") {
		t.Errorf("got %v", err)
	}
}
