// Bench times the mailblast binary, as a process, beside other senders against real SMTP servers on loopback, and
// prints what a user would wait for and pay: messages a second, processor time and memory. It asserts nothing.
//
// Every run gets a server of its own, and every sender the same job: N messages of 10 KB HTML, with three merge fields
// and a text part, over the same number of connections. The senders take turns, round by round, and what is printed is
// the median of the rounds; a ratio is the median of the ratios within a round, as neighbours share the machine's mood.
// Processor time and peak memory are what the kernel accounts to the process (wait4) from its start to its end, loading
// included. A run counts only if the server says that it took every message.
//
// Beside the usual server, Postfix's smtp-sink, mailblast and the bare client send to one that is kept to one
// processor, and with STARTTLS to mailblast sink, as smtp-sink has no TLS.
//
// It is run by make bench, which measures the senders and the lists; further parts have flags. Queues are kept in TMPDIR.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// timeLimit bounds all parts together, runLimit one run of one sender.
const (
	timeLimit = 60 * time.Minute
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
	o, err := b.parse()
	if err != nil {
		return err
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
	if err := writeCampaign(b.dir, variant{}); err != nil {
		return err
	}
	server := "Postfix smtp-sink"
	if b.smtpSink = postfix("smtp-sink"); b.smtpSink == "" {
		server = "mailblast sink"
		b.note("smtp-sink was not found, so `mailblast sink` was the server: install Postfix (Debian package postfix)")
	}
	b.findNodemailer(ctx, o.nodemailer, o.npm)

	start := time.Now()
	fmt.Println(machine())
	fmt.Printf("%s; server: %s; queues on %s; load average before: %s\n", strings.TrimSpace(string(version)), server, fileSystem(b.dir), firstField("/proc/loadavg"))
	for _, p := range b.parts(o) {
		if p.wanted && ctx.Err() == nil {
			err = errors.Join(err, p.print(ctx))
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
