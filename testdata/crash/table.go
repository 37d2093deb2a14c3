package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// A table is what all runs have shown, a line for each kind.
type table struct {
	seed uint64
	took time.Duration

	mu     sync.Mutex
	lines  []*line
	begun  int // runs
	deaths int // the controls' included
}

// A line is one kind's.
type line struct {
	kind
	want, planned    int // kills, or runs where nobody is killed
	runs, kills      int
	cuts             int
	doubt, bound     int
	faults           []string // with what was done before; a few
	faulty, idle     int      // runs that had a fault; runs in a row in which nobody was killed
	duplicates, lost int
}

// shownFaults is how many faults of a kind are printed in full.
const shownFaults = 2

// newTable plans this many kills, of the kinds whose name contains a text.
func newTable(kills int, seed uint64, text string) *table {
	t := &table{seed: seed}
	for _, k := range kinds() {
		if strings.Contains(k.name, text) {
			t.lines = append(t.lines, &line{kind: k, want: k.wanted(kills)})
		}
	}
	return t
}

// run makes all runs, some at a time.
func (t *table) run(ctx context.Context, parallel int, parent string) error {
	dir, err := os.MkdirTemp(parent, "mailblast-crash-")
	if err != nil {
		return err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil { // the log of the disk has real paths
		return err
	}
	defer os.RemoveAll(dir)
	var with tools
	if with, err = build(ctx, dir); err != nil {
		return err
	}
	start := time.Now()
	var workers sync.WaitGroup
	for range parallel {
		workers.Go(func() {
			for {
				l, kills, number := t.next()
				if l == nil || ctx.Err() != nil {
					return
				}
				r := &run{kind: l.kind, tools: with, rand: rand.New(rand.NewPCG(t.seed, uint64(number))), dir: filepath.Join(dir, fmt.Sprint("run", number))}
				err := os.Mkdir(r.dir, 0o700)
				var done result
				if err == nil {
					done, err = r.do(ctx, kills)
				}
				if ctx.Err() == nil {
					t.enter(l, kills, done, err)
				}
				os.RemoveAll(r.dir)
			}
		})
	}
	done := make(chan struct{})
	go func() { workers.Wait(); close(done) }()
	for tick := time.NewTicker(30 * time.Second); ; {
		select {
		case <-tick.C:
			t.progress(os.Stderr)
		case <-done:
			tick.Stop()
			t.took = time.Since(start)
			return context.Cause(ctx)
		}
	}
}

// progress says how far it has come.
func (t *table) progress(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	kills, want, faulty := 0, 0, 0
	for _, l := range t.lines {
		if !l.everyInstant {
			kills, want = kills+l.kills, want+l.want
		}
		if !l.mustFail {
			faulty += l.faulty
		}
	}
	fmt.Fprintf(w, "crash: %d of %d kills, %d runs with a fault\n", kills, want, faulty)
}

// build builds what all runs need.
func build(ctx context.Context, dir string) (t tools, err error) {
	t = tools{plain: filepath.Join(dir, "mailblast"), crash: filepath.Join(dir, "mailblast-crash")}
	for _, args := range [][]string{{"-o", t.plain}, {"-tags", "crash", "-o", t.crash}} {
		out, err := exec.CommandContext(ctx, "go", append(append([]string{"build"}, args...), "mailblast")...).CombinedOutput()
		if err != nil {
			return t, fmt.Errorf("build mailblast: %w\n%s", err, out)
		}
	}
	t.preload, err = buildPreload(ctx, dir)
	return t, err
}

// next is the kind of the next run, and how many kills it is to have; nil when all is planned.
func (t *table) next() (l *line, kills, number int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// The one that is furthest behind, so that an interrupted table has something of everything.
	for _, x := range t.lines {
		if x.planned < x.want && (l == nil || x.planned*l.want < l.planned*x.want) {
			l = x
		}
	}
	if l == nil {
		return nil, 0, 0
	}
	t.begun++
	if l.everyInstant {
		l.planned++
		return l, 0, t.begun
	}
	kills = min(killsOfARun, l.want-l.planned)
	l.planned += kills
	return l, kills, t.begun
}

// enter takes what a run has shown.
func (t *table) enter(l *line, planned int, r result, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.runs++
	l.kills += r.kills
	t.deaths += r.kills
	l.cuts += r.cuts
	l.doubt += r.doubt
	l.bound += r.bound
	if r.kills > 0 {
		l.idle = 0
	} else if !l.everyInstant {
		l.idle++
	}
	if l.idle < 20 { // what was not killed is made up for, unless it cannot be killed at all
		l.planned -= planned - r.kills
	}
	for _, f := range r.findings {
		switch f.kind {
		case "duplicate":
			l.duplicates++
		case "lost":
			l.lost++
		}
	}
	if err == nil && len(r.findings) == 0 {
		return
	}
	l.faulty++
	if len(l.faults) == shownFaults {
		return
	}
	var b strings.Builder
	if err != nil {
		fmt.Fprintln(&b, err)
	}
	for i, f := range r.findings {
		if i == 5 {
			fmt.Fprintf(&b, "… and %d more\n", len(r.findings)-i)
			break
		}
		fmt.Fprintln(&b, f.text)
	}
	for _, h := range r.history {
		fmt.Fprintln(&b, "   ", h)
	}
	l.faults = append(l.faults, b.String())
}

// holds reports whether a line is as it must be, and in which words.
func (l *line) holds() (string, bool) {
	switch {
	case l.mustFail && l.duplicates == 0:
		return "NOT FOUND OUT", false
	case l.mustFail:
		return "fails, as it must", true
	case l.faulty > 0:
		return "BROKEN", false
	case l.runs == 0 || !l.everyInstant && l.kills == 0:
		return "NOT TRIED", false
	}
	return "holds", true
}

// print writes the table, and the faults below it. It reports whether all is as it must be.
func (t *table) print(w io.Writer) bool {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "kind\truns\tkills\tpower cuts\tduplicates\tlost\tin doubt\tbound\t\t")
	var sum line
	ok := true
	for _, l := range t.lines {
		words, good := l.holds()
		ok = ok && good
		l.write(out, l.name, words)
		if !l.mustFail {
			sum.runs, sum.kills, sum.cuts = sum.runs+l.runs, sum.kills+l.kills, sum.cuts+l.cuts
			sum.duplicates, sum.lost, sum.doubt, sum.bound = sum.duplicates+l.duplicates, sum.lost+l.lost, sum.doubt+l.doubt, sum.bound+l.bound
		}
	}
	sum.write(out, "all but the controls", "")
	out.Flush()
	fmt.Fprintf(w, "%d kills in %.0f s, seed %d\n", t.deaths, t.took.Seconds(), t.seed)
	for _, l := range t.lines {
		if _, good := l.holds(); !good {
			for _, f := range l.faults {
				fmt.Fprintf(w, "\n%s:\n%s", l.name, f)
			}
		}
	}
	return ok
}

func (l *line) write(w io.Writer, name, words string) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t\n", name, l.runs, l.kills, l.cuts, l.duplicates, l.lost, l.doubt, l.bound, words)
}
