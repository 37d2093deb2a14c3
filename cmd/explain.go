package cmd

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"mailblast/cmd/plan"
	"mailblast/sender/reply"
)

// maxExplainLine bounds a line of standard input, in octets: a reply has at most 64 KB.
const maxExplainLine = 128 << 10

const explainLong = `What a server's reply means, and what mailblast does when it gets it.

The reply is given as the server wrote it: a code, an enhanced status code where there is one, and the text. Without an argument
the replies are read from standard input, one a line. A reply of several lines is written on one, with \n between them. One whose
code got lost is judged by its words, where they say enough.

  CLASS           MEANS
  sent            the server took the message
  throttle        slow down; the same recipient later, and no attempt is used up
  transient       try again later; an attempt is used up
  hard_bounce     the recipient does not exist any more; the address goes on the suppression list, if the server takes others
  rejected        this message, or its sender, is refused for good
  auth_or_config  nothing can be sent until a person acts, or the quota of the day is new

A server that calls 20 recipients in a row dead, in the same words, and takes nobody between them is not believed: the run stops for this
server with exit code 4, those recipients are queued again and use up an attempt, and none of them goes on the suppression list.

The campaign file can have rules of its own, which are asked first; --campaign tries them:

  rules:
    - match: '^550 5\.7\.1 .*come back tomorrow'   # RE2, of the reply on one line as the report shows it
      class: throttle                             # or another of those above

A bad line is reported with its number, the others go on, and the exit status is 2.`

const explainExample = `  # One reply
  mailblast explain '550 5.1.1 <bob@example.com>: user unknown'

  # One of several lines
  mailblast explain '421-4.7.0 Too many connections\n421 4.7.0 from your address'

  # The answer to the log-in
  mailblast explain --stage auth '550 5.7.1 go away'

  # By the rules of a campaign file
  mailblast explain --campaign campaign.yaml '550 5.7.1 come back tomorrow'

  # A file of replies, as JSON, counted by class
  mailblast explain --format json < replies.txt | jq -r .class | sort | uniq -c`

func explainCommand() *cobra.Command {
	var stage, format, file string
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
			if file != "" {
				if e.replies, err = plan.Rules(file); err != nil {
					return usage(err)
				}
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
	flags.StringVar(&file, "campaign", "", "campaign `file` whose rules are asked first")
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
	out     io.Writer
	replies *reply.Classifier
	stage   reply.Stage
	json    bool
	after   bool // something was printed already
}

func newExplainer(out io.Writer, stage, format string) (*explainer, error) {
	e := &explainer{out: out, replies: reply.NewClassifier(nil), stage: reply.Rcpt}
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

// explainLines returns errNotUnderstood after it has said which lines are bad.
var errNotUnderstood = errors.New("not every line is a reply: a line starts with a code from 200 to 599, then a space and the text")

// explainLines explains every line of in. It writes which lines are bad to problems, goes on, and returns
// errNotUnderstood at the end.
func (e *explainer) explainLines(in io.Reader, problems io.Writer) error {
	lines := bufio.NewReaderSize(in, maxExplainLine)
	bad := 0
	for n := 1; ; n++ {
		line, more, err := lines.ReadLine()
		tooLong := more
		for more && err == nil {
			_, more, err = lines.ReadLine()
		}
		text := strings.TrimSpace(string(line))
		switch {
		case err == io.EOF && bad > 0:
			return usage(errNotUnderstood)
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("reading standard input at line %d: %w", n, err)
		case tooLong:
			err = fmt.Errorf("%w: line longer than %d octets", reply.ErrSyntax, maxExplainLine)
		case text != "":
			err = e.explain(text)
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, reply.ErrSyntax) {
			return err // of the output
		}
		bad++
		fmt.Fprintf(problems, "standard input:%d: %v\n", n, err)
	}
}

// explain prints what one reply means.
func (e *explainer) explain(line string) error {
	r, err := parseReply(line)
	if err != nil {
		return err
	}
	means := e.replies.Explain(e.stage, r.Code, r.Status, r.Text)
	if means.Rule == reply.NoRule {
		return fmt.Errorf("%w: no three-digit code at the start, and words that do not say what it means: %q", reply.ErrSyntax, r.Text[:min(len(r.Text), 80)])
	}
	x := explained{
		Reply: strings.TrimPrefix(r.String(), "000 "), Code: r.Code, Status: r.Status,
		Class: string(means.Class), Scope: means.Scope.String(), Rule: means.Rule,
		Action: action(means) + wish(means), reason: means.Reason,
	}
	if e.json {
		enc := json.NewEncoder(e.out)
		enc.SetEscapeHTML(false)
		return enc.Encode(x)
	}
	return e.table(x)
}

// parseReply reads a reply on one line. Logs and people write those of several lines in several ways: the lines after
// the first may or may not begin with the code, or are joined by spaces, or are missing.
func parseReply(line string) (reply.Reply, error) {
	if !startsWithCode(line) {
		return parseCodeless(line)
	}
	lines := strings.Split(strings.ReplaceAll(line, `\n`, "\n"), "\n")
	if len(lines) == 1 && (len(line) < 5 || line[3] != '-') {
		return reply.Parse(line)
	}
	code := line[:3]
	for i, l := range lines {
		if rest, ok := strings.CutPrefix(l, code); ok && (rest == "" || rest[0] == ' ' || rest[0] == '-') {
			l = strings.TrimLeft(rest, " -")
		}
		mark := "-"
		if i == len(lines)-1 {
			mark = " "
		}
		lines[i] = code + mark + l
	}
	return reply.Parse(strings.Join(lines, "\n"))
}

// startsWithCode reports whether s starts like a reply, even one that is wrong.
func startsWithCode(s string) bool {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	return digits > 0 && !strings.HasPrefix(s[digits:], ".") || s == ""
}

// parseCodeless reads what is left of a reply whose code is missing: its code is 0.
func parseCodeless(line string) (reply.Reply, error) {
	code := "450 "
	if line[0] == '5' {
		code = "550 " // 5.1.1 user unknown
	}
	r, err := reply.Parse(code + strings.ReplaceAll(line, `\n`, " "))
	r.Code = 0
	return r, err
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
		return "count the recipient as failed; put the address on the suppression list, if the server takes others, so that it is not mailed again"
	}
	return "count the recipient as failed; the address may be good, the message or its sender was refused"
}

// wish says when the server wants the client to come back.
func wish(e reply.Explanation) string {
	if e.Quota > 0 {
		return fmt.Sprintf(" (the quota is new within %v)", e.Quota)
	}
	if e.RetryAfter > 0 && (e.Verdict == reply.Throttle || e.Verdict == reply.Retry) {
		return fmt.Sprintf(" (the server asks for %v)", e.RetryAfter)
	}
	return ""
}
