package cmd

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"mailblast/sender/reply"
)

// maxExplainLine is how long a line of standard input may be, in octets: a reply is at most 64 KB.
const maxExplainLine = 128 << 10

const explainLong = `What a server's reply means, and what mailblast does when it gets it.

The reply is given as the server wrote it: a code, an enhanced status code where there is one, and the text. Without an argument
the replies are read from standard input, one a line. A reply of several lines is written on one, with \n between them.

  CLASS           MEANS
  sent            the server took the message
  throttle        slow down; the same recipient later, and no attempt is used up
  transient       try again later; an attempt is used up
  hard_bounce     the recipient does not exist any more; the address goes on the suppression list
  rejected        this message, or its sender, is refused for good
  auth_or_config  nothing can be sent until a person acts, or the quota of the day is new

A bad line is reported with its number, the others go on, and the exit status is 2.`

const explainExample = `  # One reply
  mailblast explain '550 5.1.1 <bob@example.com>: user unknown'

  # One of several lines
  mailblast explain '421-4.7.0 Too many connections\n421 4.7.0 from your address'

  # The answer to the log-in
  mailblast explain --stage auth '550 5.7.1 go away'

  # A file of replies, as JSON, counted by class
  mailblast explain --format json < replies.txt | jq -r .class | sort | uniq -c`

func explainCommand() *cobra.Command {
	var stage, format string
	cmd := &cobra.Command{
		Use:     "explain [REPLY]",
		Short:   "Say what a server's reply means and what mailblast does about it",
		Long:    explainLong,
		Example: explainExample,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := newExplainer(cmd.OutOrStdout(), stage, format)
			if err != nil {
				return usage(err)
			}
			if len(args) == 0 {
				return e.explainLines(cmd.InOrStdin(), cmd.ErrOrStderr())
			}
			if err = e.explain(args[0]); errors.Is(err, reply.ErrSyntax) {
				return usage(err)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&stage, "stage", "", "`stage` at which the reply was given: connect, ehlo, starttls, auth, mail, rcpt, data, dot or rset (default rcpt)")
	flags.StringVar(&format, "format", "table", "`table`, or json: one object a line")
	return cmd
}

// An explained reply is what explain prints. The fields are part of the contract with scripts.
type explained struct {
	Reply  string `json:"reply"`
	Code   int    `json:"code"`
	Status string `json:"status"`
	Class  string `json:"class"`
	Scope  string `json:"scope"`
	Rule   string `json:"rule"`
	Action string `json:"action"`
	reason string
}

// An explainer explains one reply after the other.
type explainer struct {
	out   io.Writer
	stage reply.Stage
	json  bool
	after bool // something was printed already
}

func newExplainer(out io.Writer, stage, format string) (*explainer, error) {
	e := &explainer{out: out, stage: reply.Rcpt}
	if stage != "" {
		var err error
		if e.stage, err = reply.ParseStage(stage); err != nil {
			return nil, fmt.Errorf("--stage: %w", err)
		}
	}
	switch format {
	case "table":
	case "json":
		e.json = true
	default:
		return nil, fmt.Errorf("--format: unknown format %q: use table or json", format)
	}
	return e, nil
}

// errNotUnderstood is what explainLines returns after it has said which lines were bad.
var errNotUnderstood = errors.New("not every line is a reply: a line starts with a code from 200 to 599, then a space and the text")

// explainLines explains every line of in. Bad lines are reported to problems, and make the returned error.
func (e *explainer) explainLines(in io.Reader, problems io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxExplainLine)
	bad, n := 0, 0
	for lines.Scan() {
		n++
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		err := e.explain(line)
		if err == nil {
			continue
		}
		if !errors.Is(err, reply.ErrSyntax) {
			return err // the output is gone
		}
		bad++
		fmt.Fprintf(problems, "standard input:%d: %v\n", n, err)
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return usage(fmt.Errorf("standard input:%d: line longer than %d octets", n+1, maxExplainLine))
	case err != nil:
		return fmt.Errorf("reading standard input after line %d: %w", n, err)
	case bad > 0:
		return usage(errNotUnderstood)
	}
	return nil
}

// explain prints what one reply means.
func (e *explainer) explain(line string) error {
	r, err := reply.Parse(strings.ReplaceAll(line, `\n`, "\n"))
	if err != nil {
		return err
	}
	means := reply.Explain(e.stage, r.Code, r.Status, r.Text)
	x := explained{
		Reply: r.String(), Code: r.Code, Status: r.Status,
		Class: string(means.Class), Scope: means.Scope.String(), Rule: means.Rule,
		Action: action(means), reason: means.Reason,
	}
	if e.json {
		enc := json.NewEncoder(e.out)
		enc.SetEscapeHTML(false)
		return enc.Encode(x)
	}
	return e.table(x)
}

func (e *explainer) table(x explained) error {
	var b strings.Builder
	if e.after {
		b.WriteByte('\n')
	}
	e.after = true
	for _, row := range [][2]string{
		{"reply", x.Reply}, {"class", x.Class}, {"scope", x.Scope}, {"rule", x.Rule + ": " + x.reason}, {"action", x.Action},
	} {
		fmt.Fprintf(&b, "%-8s%s\n", row[0], row[1])
	}
	_, err := io.WriteString(e.out, b.String())
	return err
}

// action says what mailblast does about a reply.
func action(e reply.Explanation) string {
	switch e.Verdict {
	case reply.Sent:
		return "count the recipient as sent"
	case reply.Throttle:
		if e.Scope == reply.Session {
			return "slow down and use fewer connections; try the recipient again later, without using up an attempt"
		}
		return "slow down; try the recipient again later, without using up an attempt"
	case reply.Retry:
		if e.Scope == reply.Session {
			return "close the connection and try again later on another"
		}
		return "try the recipient again later; this uses up one of its attempts"
	case reply.Stop:
		return "stop sending and keep every other recipient queued, until a person has acted or the quota is new: then mailblast resume"
	}
	if e.Class == reply.HardBounce {
		return "count the recipient as failed; put the address on the suppression list, so that it is not mailed again"
	}
	return "count the recipient as failed; the address may be good, the message or its sender was refused"
}
