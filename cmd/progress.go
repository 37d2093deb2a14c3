package cmd

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	pretty "github.com/jedib0t/go-pretty/v6/text"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"mailblast/campaign/text"
	"mailblast/cmd/plan"
	"mailblast/sender"
)

const (
	barEvery = 200 * time.Millisecond // on a terminal
	logEvery = 30 * time.Second       // elsewhere
)

// A progress shows how a run goes: a bar on a terminal, otherwise a log line every 30 seconds. It is also the writer of
// the log, so that a line and the bar do not run into each other.
type progress struct {
	name  string
	goal  int64
	stats *sender.Stats
	start time.Time
	log   *slog.Logger
	out   io.Writer // of the bar
	calm  io.Writer // of everything else
	done  chan struct{}
	ended sync.WaitGroup

	mu  sync.Mutex
	bar *progressbar.ProgressBar // nil: not on a terminal, or quiet
}

// newProgress starts to show a run that will try goal messages.
func (a *app) newProgress(name string, goal int64, stats *sender.Stats) *progress {
	p := &progress{name: name, goal: goal, stats: stats, start: time.Now(), out: os.Stderr, calm: &screen{out: os.Stderr}, done: make(chan struct{})}
	p.log = a.logger(p)
	every := logEvery
	if terminal(os.Stderr) && !a.quiet && a.logFormat == "text" {
		every = barEvery
		p.bar = progressbar.NewOptions64(max(goal, 1), progressbar.OptionSetWriter(p.out), progressbar.OptionSetPredictTime(false),
			progressbar.OptionFullWidth(), progressbar.OptionSetElapsedTime(false), progressbar.OptionSetRenderBlankState(true))
	}
	p.ended.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		rate := rateOver{span: 5 * time.Second}
		for {
			select {
			case <-ticker.C:
				p.show(rate.add(time.Now(), p.tried()))
			case <-p.done:
				return
			}
		}
	})
	return p
}

func terminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// terminalWidth is how many columns a terminal has; 0: it is none, or does not say.
func terminalWidth(f *os.File) int {
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// tried counts the messages that came to an end. A deferred one is not among them: it comes again.
func (p *progress) tried() int64 {
	return p.stats.Sent.Load() + p.stats.Failed.Load() + p.stats.InDoubt.Load()
}

func (p *progress) show(rate float64) {
	s := p.stats
	left := "?"
	if rate > 0 {
		left = (time.Duration(float64(max(p.goal-p.tried(), 0))/rate) * time.Second).String()
	}
	if p.bar == nil {
		p.log.Info("progress", "campaign", p.name, "sent", s.Sent.Load(), "of", p.goal, "failed", s.Failed.Load(), "deferred", s.Deferred.Load(),
			"in_doubt", s.InDoubt.Load(), "rate", fmt.Sprintf("%.0f/s", rate), "left", left)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bar.Describe(fmt.Sprintf("%s  %s  %.0f/s  %s left ", text.Visible(p.name), outcomes(s), rate, left))
	p.bar.Set64(min(p.tried(), max(p.goal, 1)))
}

// outcomes names what there is: "1,200 sent, 3 failed".
func outcomes(s *sender.Stats) string {
	words := []string{humanize.Comma(s.Sent.Load()) + " sent"}
	for _, c := range []struct {
		n    int64
		word string
	}{{s.Failed.Load(), "failed"}, {s.Deferred.Load(), "deferred"}, {s.InDoubt.Load(), "in doubt"}} {
		if c.n > 0 {
			words = append(words, humanize.Comma(c.n)+" "+c.word)
		}
	}
	return strings.Join(words, ", ")
}

// Write writes a log line in place of the bar, which comes back with the next tick.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.Clear()
	}
	return p.calm.Write(b)
}

// stop ends the display. What is written afterwards is not followed by a bar.
func (p *progress) stop() {
	close(p.done)
	p.ended.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.Clear()
		p.bar = nil
	}
}

// A rateOver measures a rate over the last span.
type rateOver struct {
	span time.Duration
	at   []time.Time
	n    []int64
}

func (r *rateOver) add(now time.Time, n int64) float64 {
	r.at, r.n = append(r.at, now), append(r.n, n)
	for len(r.at) > 2 && now.Sub(r.at[0]) > r.span {
		r.at, r.n = r.at[1:], r.n[1:]
	}
	if len(r.at) < 2 {
		return 0
	}
	return float64(n-r.n[0]) / now.Sub(r.at[0]).Seconds()
}

// summary says at the end what this run did, what is left, and what to do about it.
func (a *app) summary(p *progress, s *sender.Stats, rest plan.Rest, took time.Duration) {
	if a.quiet {
		return
	}
	name, c, due := p.name, rest.Counts, rest.Due
	colour := func(t string, c pretty.Color) string {
		if a.noColor || os.Getenv("NO_COLOR") != "" || !terminal(os.Stderr) {
			return t
		}
		return c.Sprint(t)
	}
	state, shade := "done", pretty.FgGreen
	switch {
	case c.Pending() > 0:
		state, shade = "not finished", pretty.FgYellow
	case c.Failed+c.InDoubt > 0:
		state, shade = "done, with failures", pretty.FgRed
	}
	if a.logFormat == "json" {
		for _, v := range several(s) {
			p.log.Info("server", "campaign", name, "server", v.Name, "sent", v.Sent, "left_out", leftOut(v))
		}
		p.log.Info(state, "campaign", name, "sent", s.Sent.Load(), "failed", c.Failed, "in_doubt", c.InDoubt, "suppressed", c.Suppressed, "queued", c.Pending(), "seconds", took.Seconds(), "next_due", due)
		return
	}
	fmt.Fprintf(p.out, "%s: %s. This run: %s in %s (%.0f/s)\n", text.Visible(name), colour(state, shade), outcomes(s), text.Rounded(took), float64(s.Sent.Load())/took.Seconds())
	for _, v := range several(s) {
		words := []string{humanize.Comma(v.Sent) + " sent"}
		if why := leftOut(v); why != "" {
			words = append(words, "left out: "+why)
		}
		fmt.Fprintf(p, "  over %s: %s\n", text.Visible(v.Name), text.Visible(strings.Join(words, "; ")))
	}
	hint := func(n int64, what, command string) {
		if n > 0 {
			fmt.Fprintf(p, "  %s %s: %s\n", humanize.Comma(n), what, command)
		}
	}
	hint(c.Failed, "failed", fmt.Sprintf("mailblast report %s --failed", quoteArg(name)))
	hint(c.Suppressed, "suppressed, as they are on the list of those who are never mailed", fmt.Sprintf("mailblast report %s --state suppressed", quoteArg(name)))
	hint(c.InDoubt, "in doubt, only the server knows whether they were sent", fmt.Sprintf("mailblast report %s --in-doubt", quoteArg(name)))
	if c.Pending() == 0 {
		return
	}
	when := "mailblast resume"
	if wait := time.Until(due); wait > 0 {
		when += fmt.Sprintf(", worth while from %s (in %s)", due.Local().Format("2006-01-02 15:04:05"), text.Rounded(wait))
	}
	hint(c.Sending, "may have been sent, which could not be written down; they will be in doubt", "mailblast resume")
	hint(c.Queued+c.Claimed, "still queued", when)
}

// several returns the servers, or nothing where there is only one: it has no lines of its own.
func several(s *sender.Stats) []sender.RouteStats {
	if len(s.Routes) == 1 {
		return nil
	}
	return s.Routes
}

// leftOut says why nothing was sent over a server any more; "": it was used to the end.
func leftOut(v sender.RouteStats) string {
	if v.Out == nil {
		return ""
	}
	return v.Out.Error()
}

// quoteArg quotes a campaign's name for a shell where that is needed.
func quoteArg(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("-_.,/:@%+", r))
	}) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}
