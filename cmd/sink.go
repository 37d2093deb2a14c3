package cmd

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"mailblast/sender/sink"
)

// sinkGrace is how long the connections may take to end when the sink stops.
const sinkGrace = 5 * time.Second

const sinkLong = `A real SMTP server that delivers nothing: for load tests, for fault tests, and to read what a program sends.

It runs until interrupted, or until --count messages were taken, and then says what it has seen. A duplicate is a recipient
who was sent a message before.

A fault is written STAGE[@PROBABILITY|#N][~REGEXP]=REPLY; the first one that applies answers.

  STAGE         CONNECT, EHLO, AUTH, MAIL, RCPT, DATA or DOT (after the final dot)
  @PROBABILITY  only so often: @0.1 is one time in ten
  #N            only the first N times for each address, as greylisting does
  ~REGEXP       only where it matches (Go syntax): the client's IP address at CONNECT, its name at EHLO, the user at AUTH, the sender
                at MAIL, the recipient at RCPT and DATA, a header field ("Subject: hello") at DOT
  REPLY         a code from 400 to 599 and a text; 421 also closes the connection`

const sinkExample = `  # Load: take and count, keep nothing
  mailblast sink

  # Read the mail in a browser
  mailblast sink --http 127.0.0.1:1080

  # One bad address, one message in ten refused after the dot
  mailblast sink --fail 'RCPT~^bob@=550 5.1.1 no such user' --fail 'DOT@0.1=451 4.3.0 try later'

  # Greylisting: the first two attempts for each recipient
  mailblast sink --fail 'RCPT#2=450 4.2.0 greylisted'

  # Throttling, as Amazon SES does it
  mailblast sink --rate '14/s=454 4.7.0 Throttling failure: faster than the account may send.'

  # A new account: 500 messages in the first hour, 750 in the second one, and never more than 14 a second
  mailblast sink --rate '14/s=454 4.7.0 slow down' --rate '500/h:warmup=452 4.7.1 too many messages, slow down'

  # A far and unreliable server: 40 ms away, and one connection in a hundred lost in the moment of doubt
  mailblast sink --latency 40ms --drop-after-dot 0.01

  # STARTTLS and a login; the client trusts ca.pem
  mailblast sink --tls starttls --ca-out ca.pem --auth user:secret

  # In a script: 1,000 messages, their envelopes as JSON lines
  mailblast sink --count 1000 --print > envelopes.jsonl`

type sinkFlags struct {
	opts     sink.Options
	fail     failFlag
	rate     rateFlag
	security string
	cert     string
	key      string
	caOut    string
	auth     string
	count    int64
	print    bool
}

func sinkCommand() *cobra.Command {
	var f sinkFlags
	cmd := &cobra.Command{
		Use:     "sink",
		Short:   "Run a test SMTP server, with faults on demand and a page to read what came",
		Long:    sinkLong,
		Example: sinkExample,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runSink(cmd, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.opts.Listen, "listen", "127.0.0.1:1025", "`address` to listen on; port 0 takes a free one")
	flags.StringVar(&f.opts.Dir, "dir", "", "keep the messages in this Maildir `folder`")
	flags.StringVar(&f.opts.HTTP, "http", "", "`address` of a web page to read the newest 1,000 messages, such as 127.0.0.1:1080")
	flags.Var(&f.fail, "fail", "`fault` to make, see above; may be given several times")
	flags.Var(&f.rate, "rate", "`limit`, N/s=REPLY (or /m, /h): messages beyond it get REPLY at MAIL; may be given several times. N/s:fixed and N/s:sliding count by windows, N/s:connection by connection; N/h:warmup takes half as much again in each hour")
	flags.DurationVar(&f.opts.Latency, "latency", 0, "how long every reply is on its way; commands in one packet share it")
	flags.Float64Var(&f.opts.DropAfterDot, "drop-after-dot", 0, "`probability` that a message is taken and the connection closed without a reply")
	flags.StringVar(&f.security, "tls", "", "`how` to encrypt: starttls or tls (from the first byte)")
	flags.StringVar(&f.cert, "cert", "", "certificate `file` in PEM; without it one is made for localhost and thrown away")
	flags.StringVar(&f.key, "key", "", "key `file` in PEM")
	flags.StringVar(&f.caOut, "ca-out", "", "write the authority of the throwaway certificate to this `file`, for the client to trust")
	flags.StringVar(&f.auth, "auth", "", "`user:password` that clients have to log in with")
	flags.Int64Var(&f.count, "count", 0, "end after `N` messages were taken")
	flags.BoolVar(&f.print, "print", false, "print the envelope of each message as a line of JSON")
	cmd.MarkFlagsRequiredTogether("cert", "key")
	cmd.MarkFlagsMutuallyExclusive("cert", "ca-out")
	return cmd
}

func runSink(cmd *cobra.Command, f sinkFlags) error {
	if err := f.complete(); err != nil {
		return usage(err)
	}
	quiet, _ := cmd.Flags().GetBool("quiet")
	say := func(line string) {
		if !quiet {
			fmt.Fprintln(cmd.ErrOrStderr(), line)
		}
	}
	ctx, stop := context.WithCancelCause(cmd.Context())
	defer stop(nil)
	f.opts.Log = sinkLog(cmd, quiet)
	f.opts.OnAccept = f.onAccept(cmd.OutOrStdout(), stop)

	start := time.Now()
	server, err := sink.Start(ctx, f.opts)
	if err != nil {
		return usage(err)
	}
	say(f.listening(server))
	<-ctx.Done()

	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), sinkGrace)
	defer cancel()
	if err := server.Close(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stop the sink: %w", err)
	}
	counts := server.Counts()
	say(sinkSummary(counts, time.Since(start)))
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errCounted):
		return nil
	case !errors.Is(cause, context.Canceled):
		return cause
	case counts.Accepted < f.count:
		return fmt.Errorf("interrupted after %d of %d messages", counts.Accepted, f.count)
	}
	return nil
}

// complete checks what flags alone cannot, and makes the TLS configuration.
func (f *sinkFlags) complete() error {
	f.opts.Fail, f.opts.Rates = f.fail.rules, f.rate.rates
	switch {
	case !(f.opts.DropAfterDot >= 0 && f.opts.DropAfterDot <= 1):
		return fmt.Errorf("--drop-after-dot %v: not a probability from 0 to 1", f.opts.DropAfterDot)
	case f.opts.Latency < 0:
		return fmt.Errorf("--latency %v: less than nothing", f.opts.Latency)
	case f.count < 0:
		return fmt.Errorf("--count %d: less than nothing", f.count)
	}
	if f.auth != "" {
		var ok bool
		f.opts.Username, f.opts.Password, ok = strings.Cut(f.auth, ":")
		if !ok || f.opts.Username == "" {
			return errors.New("--auth: not user:password")
		}
	}
	for _, rule := range f.opts.Fail {
		if rule.Stage == sink.Auth && f.auth == "" {
			return errors.New("--fail AUTH needs --auth user:password: nobody logs in without it")
		}
	}
	f.opts.Security = sink.Security(f.security)
	switch f.opts.Security {
	case sink.None:
		if f.cert != "" || f.caOut != "" {
			return errors.New("a certificate needs --tls starttls or --tls tls")
		}
		return nil
	case sink.StartTLS, sink.TLS:
		return f.certificate()
	}
	return fmt.Errorf("--tls %q: neither starttls nor tls", f.security)
}

func (f *sinkFlags) certificate() error {
	var certificate tls.Certificate
	var err error
	if f.cert != "" {
		if certificate, err = tls.LoadX509KeyPair(f.cert, f.key); err != nil {
			return fmt.Errorf("--cert and --key: %w", err)
		}
	} else {
		hosts := []string{"localhost", "127.0.0.1", "::1"}
		if host, _, err := net.SplitHostPort(f.opts.Listen); err == nil && host != "" {
			hosts = append(hosts, host)
		}
		var authority []byte
		if certificate, authority, err = sink.ThrowawayCertificate(hosts...); err != nil {
			return fmt.Errorf("make a certificate: %w", err)
		}
		if f.caOut != "" {
			if err := os.WriteFile(f.caOut, authority, 0o644); err != nil {
				return fmt.Errorf("--ca-out: %w", err)
			}
		}
	}
	f.opts.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	return nil
}

// listening is the line that says that the server is ready; scripts wait for it and read the address from it.
func (f *sinkFlags) listening(server *sink.Server) string {
	line := "listening on " + server.Addr().String()
	if f.security != "" {
		line += ", " + f.security
	}
	if server.HTTPAddr() != nil {
		line += ", page on http://" + server.HTTPAddr().String() + "/"
	}
	if f.opts.Dir != "" {
		line += ", Maildir " + f.opts.Dir
	}
	return line
}

func sinkSummary(c sink.Counts, took time.Duration) string {
	line := fmt.Sprintf("messages %d, recipients %d, duplicates %d, refused %d", c.Accepted, c.Distinct, c.Duplicates, c.Refused)
	if c.Dropped > 0 {
		line += fmt.Sprintf(", dropped after the dot %d", c.Dropped)
	}
	return line + fmt.Sprintf(", connections %d, %s", c.Connections, took.Round(time.Millisecond))
}

// sinkLog tells what the operator should know: a failed handshake, a message that could not be stored.
func sinkLog(cmd *cobra.Command, quiet bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelWarn}
	if quiet {
		options.Level = slog.LevelError
	}
	if format, _ := cmd.Flags().GetString("log-format"); format == "json" {
		return slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), options))
	}
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), options))
}

var errCounted = errors.New("enough messages")

// onAccept returns what prints and counts the messages; nil: nothing does, so that the server need not keep them.
func (f *sinkFlags) onAccept(out io.Writer, stop context.CancelCauseFunc) func(sink.Message) {
	if f.count == 0 && !f.print {
		return nil
	}
	var taken atomic.Int64
	var mu sync.Mutex // one line at a time
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	return func(m sink.Message) {
		if f.print {
			mu.Lock()
			err := lines.Encode(printedMessage{m.Time, m.From, m.To, m.MessageID, len(m.Data)})
			mu.Unlock()
			if err != nil {
				stop(fmt.Errorf("print envelopes: %w", err))
			}
		}
		if taken.Add(1) == f.count {
			stop(errCounted)
		}
	}
}

// A printedMessage is one line of --print.
type printedMessage struct {
	Time      time.Time `json:"time"`
	From      string    `json:"from"`
	To        []string  `json:"to"`
	MessageID string    `json:"message_id"`
	Size      int       `json:"size"`
}

// A failFlag collects --fail.
type failFlag struct{ rules []sink.Rule }

func (f *failFlag) Set(s string) error {
	rule, err := sink.ParseRule(s)
	if err == nil {
		f.rules = append(f.rules, rule)
	}
	return err
}

func (f *failFlag) String() string { return "" }
func (f *failFlag) Type() string   { return "fault" }

// A rateFlag is --rate.
type rateFlag struct{ rates []sink.Rate }

func (f *rateFlag) Set(s string) error {
	rate, err := sink.ParseRate(s)
	if err == nil {
		f.rates = append(f.rates, rate)
	}
	return err
}

func (f *rateFlag) String() string { return "" }
func (f *rateFlag) Type() string   { return "limit" }
