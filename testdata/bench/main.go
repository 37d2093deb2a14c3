// Bench times the mailblast binary, as a process, beside other senders against real SMTP servers on loopback, and prints what
// a user would wait for and pay: messages a second, processor time and memory. It asserts nothing.
//
// Every run gets a server of its own, and every sender the same job: N messages of 10 KB HTML, with three merge fields and a
// text part, over the same number of connections. The senders take turns, round by round, and what is printed is the median of
// the rounds; a ratio is the median of the ratios within a round, as neighbours share the machine's mood. Processor time and
// peak memory are what the kernel accounts to the process (wait4) from its start to its end, loading included. A run
// counts only if the server says that it took every message.
//
// It is run by make bench, which measures the senders and the lists; further parts have flags. Queues are kept in TMPDIR.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// timeLimit bounds all parts together, runLimit one run of one sender.
const (
	timeLimit = 40 * time.Minute
	runLimit  = 5 * time.Minute
)

// A bench is what its parts share.
type bench struct {
	mailblast string // the binary
	smtpSink  string // Postfix's server; empty: mailblast's own is used
	nodePath  string // a node_modules with Nodemailer; empty: it is not measured
	dir       string // of everything that is written; gone at the end
	runs      int
	n         int // messages a run
	conns     int
	goals     table
	notes     []string // printed last: what was not measured, and why
}

func main() {
	if len(os.Args) > 1 && clients[os.Args[1]] != nil {
		if err := clients[os.Args[1]](os.Args[2:]); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
			os.Exit(1)
		}
		return
	}
	// A signal ends the context, so that what is deferred still cleans up.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	b := &bench{goals: table{title: "Goals", columns: []string{"what", "goal", "result", ""}}}
	rows := []int{10_000, 100_000, 1_000_000}
	flag.StringVar(&b.mailblast, "mailblast", "build/mailblast", "the `binary` to measure")
	flag.IntVar(&b.runs, "runs", 5, "rounds; the median is printed")
	flag.IntVar(&b.n, "n", 20_000, "messages a run; slow senders get fewer")
	flag.IntVar(&b.conns, "c", 10, "connections")
	flag.Func("rows", "`sizes` of the lists (default 10000,100000,1000000)", func(value string) error {
		rows = nil
		for word := range strings.SplitSeq(value, ",") {
			n, err := strconv.Atoi(word)
			if err != nil || n < 2 {
				return fmt.Errorf("%q is no number of rows above 1", word)
			}
			rows = append(rows, n)
		}
		return nil
	})
	modules := flag.String("nodemailer", "", "`folder` whose node_modules holds nodemailer")
	npm := flag.Bool("npm", false, "have npm install nodemailer for this run")
	rtt := flag.Duration("rtt", 0, "measure behind a proxy that adds this round-trip `time`, such as 20ms")
	scale := flag.Bool("scale", false, "measure 1 to 100 connections at 0 to 100 ms round-trip time")
	attached := flag.Int("attachment", 0, "measure an attachment of 1 MB to so many `recipients`, such as 1000")
	queued := flag.Int("queue", 0, "measure how long status and resume take to start on a queue of so many `rows`, such as 1000000")
	slow := flag.Duration("slow-fsync", 0, "measure on a disk whose fsync takes so much `longer`, such as 5ms (needs gcc)")
	all := flag.Bool("all", false, "everything: as -rtt 20ms -attachment 1000 -queue 1000000 -scale -slow-fsync 5ms")
	flag.Parse()
	if flag.NArg() > 0 || b.runs < 1 || b.n < 100 || b.conns < 1 || *rtt < 0 || *slow < 0 || *attached < 0 || *queued < 0 || *queued == 1 {
		return errors.New("flags only; -runs and -c at least 1, -n at least 100, -queue at least 2, nothing below 0")
	}
	if *all {
		*rtt, *scale, *slow, *attached, *queued = 20*time.Millisecond, true, 5*time.Millisecond, 1000, 1_000_000
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeLimit, fmt.Errorf("not done after %v", timeLimit))
	defer cancel()

	if b.mailblast, err = filepath.Abs(b.mailblast); err != nil {
		return err
	}
	version, err := exec.CommandContext(ctx, b.mailblast, "version").Output()
	if err != nil {
		return fmt.Errorf("%s version: %w; build it with: make build", b.mailblast, err)
	}
	if b.dir, err = os.MkdirTemp("", "mailblast-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := writeCampaign(b.dir, nil); err != nil {
		return err
	}
	server := "Postfix smtp-sink"
	if b.smtpSink = postfix("smtp-sink"); b.smtpSink == "" {
		server = "mailblast sink"
		b.note("smtp-sink was not found, so `mailblast sink` was the server: install Postfix (Debian package postfix)")
	}
	b.findNodemailer(ctx, *modules, *npm)

	start := time.Now()
	fmt.Println(machine())
	fmt.Printf("%s; server: %s; queues on %s; load average before: %s\n", strings.TrimSpace(string(version)), server, fileSystem(b.dir), firstField("/proc/loadavg"))
	parts := []struct {
		wanted bool
		print  func() error
	}{
		{true, func() error { return b.compare(ctx) }},
		{true, func() error { return b.lists(ctx, rows) }},
		{*rtt > 0, func() error { return b.distance(ctx, *rtt) }},
		{*queued > 0, func() error { return b.starts(ctx, *queued) }},
		{*scale, func() error { return b.scale(ctx) }},
		{*slow > 0, func() error { return b.slowDisk(ctx, *slow) }},
		{*attached > 0, func() error { return b.attachment(ctx, *attached) }}, // last: making it takes memory, see measure
	}
	for _, p := range parts {
		if p.wanted && ctx.Err() == nil {
			err = errors.Join(err, p.print())
		}
	}
	if len(b.goals.rows) > 0 {
		b.goals.print()
	}
	for _, note := range b.notes {
		fmt.Println("\n" + note)
	}
	fmt.Printf("\nRounds: %d. Took %v.\n", b.runs, time.Since(start).Round(time.Second))
	return err
}

func (b *bench) note(format string, args ...any) {
	b.notes = append(b.notes, "Note: "+fmt.Sprintf(format, args...)+".")
}

// goal adds a line to the last table.
func (b *bench) goal(what, goal, result string, met bool) {
	b.goals.row(what, goal, result, map[bool]string{true: "met", false: "MISSED"}[met])
}

// machine says where and when the figures were made.
func machine() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	_, model, _ := strings.Cut(string(info), "model name\t: ")
	model, _, _ = strings.Cut(model, "\n")
	if model == "" {
		model = runtime.GOARCH
	}
	return fmt.Sprintf("%s, %d cores, Linux %s, %s, %s",
		model, runtime.NumCPU(), firstField("/proc/sys/kernel/osrelease"), runtime.Version(), time.Now().Format("2006-01-02 15:04"))
}

func firstField(path string) string {
	content, _ := os.ReadFile(path)
	field, _, _ := strings.Cut(strings.TrimSpace(string(content)), " ")
	return field
}

// fileSystem tells a disk from memory, where an fsync costs nothing and the figures flatter.
func fileSystem(dir string) string {
	const tmpfs = 0x01021994
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) == nil && s.Type == tmpfs {
		return "tmpfs, where fsync is free (set TMPDIR to a folder on a disk)"
	}
	return "a disk"
}

// postfix finds a program of Postfix, whose folder is not in everyone's PATH.
func postfix(name string) string {
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	return ""
}
