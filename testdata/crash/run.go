package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"mailblast/sender/sink"
)

// A run is one list of recipients, sent by processes that are killed, until one comes to the end.
type run struct {
	kind
	tools
	rand   *rand.Rand
	dir    string
	queue  string // folder
	log    string // of what is done to the disk
	disk   *disk
	played int // operations of log that the disk knows

	connections, batch int
	recipients         []string
	server             *sink.Server
	witness            *witness

	history []string // what was done, for whoever has to find a fault
}

// tools are what all runs share.
type tools struct {
	plain, crash string // mailblast, without and with the tag
	preload      string // the library of disk/preload.c
}

// A result is what a run has shown.
type result struct {
	verdict
	kills, cuts, bound int
	history            []string
}

// passTime is longer than a process takes when it is not killed.
const passTime = time.Minute

// do makes the run, with this many kills if it lasts so long. An error is a fault too: no command may fail because
// another one was killed.
func (r *run) do(ctx context.Context, kills int) (done result, err error) {
	defer func() { done.history = r.history }()
	if err := r.prepare(ctx); err != nil {
		return done, err
	}
	defer r.server.Close(context.WithoutCancel(ctx))
	more := 0 // kills that only make something to recover
	if strings.HasSuffix(r.step, "-recover") {
		more = 1
	}
	args := []string{"send", "campaign.yaml"}
	for ended := false; done.kills < kills+more && !ended; {
		var killed bool
		if killed, ended, err = r.pass(ctx, args, kills+more-done.kills); err != nil {
			return done, err
		}
		if killed {
			done.kills++
		}
		if killed && r.power != "" {
			done.cuts++
			if err := r.cut(ctx); err != nil {
				return done, fmt.Errorf("power cut: %w", err)
			}
		}
		if args[0] == "send" && r.step != "load" {
			args = []string{"resume"}
		} else {
			args = []string{"send", "campaign.yaml"}
		}
	}
	// The last one is left alone, and loads what a power cut may have taken with the list.
	if err := r.finish(ctx); err != nil {
		return done, err
	}
	if err := r.server.Close(ctx); err != nil {
		return done, err
	}
	report := r.command(ctx, r.plain, "report", "--format", "json")
	if done.verdict, err = r.witness.judge(ctx, report, filepath.Join(r.queue, queueName), r.recipients); err != nil {
		return done, err
	}
	if r.everyInstant {
		if done.cuts, err = r.sweep(ctx, &done.verdict); err != nil {
			return done, err
		}
	}
	// The server drops a connection in place of a reply, and the messages behind that one get no reply either.
	underWay := max(2, r.pipeline)
	done.bound = underWay*r.connections*done.kills + max(1, r.pipeline)*int(r.server.Counts().Dropped)
	if r.reboot {
		// All that was claimed is in doubt. That is two batches at most, and for each connection the message on its
		// way, the next one, and the last one while its outcome is being written down.
		done.bound = (3*r.connections + 2*r.batch) * done.cuts
	}
	if done.doubt > done.bound {
		done.find("doubt", "%d are in doubt, the bound is %d", done.doubt, done.bound)
	}
	done.kills = max(0, done.kills-more)
	return done, nil
}

// prepare makes the list, the campaign and the server.
func (r *run) prepare(ctx context.Context) error {
	r.connections, r.batch = 4+r.rand.IntN(7), 10+r.rand.IntN(91)
	r.queue, r.log = filepath.Join(r.dir, "queue"), filepath.Join(r.dir, "disk.log")
	r.witness = newWitness()
	options := sink.Options{
		Listen: "127.0.0.1:0", OnAccept: r.witness.accept, OnReply: r.witness.reply,
		Latency: time.Duration(r.rand.IntN(3)) * time.Millisecond,
	}
	more := ""
	if r.unruly {
		defers := sink.Reply{Code: 451, Text: "4.3.0 try later"}
		options.Fail = []sink.Rule{{Stage: sink.Rcpt, Probability: 0.02, Reply: defers}, {Stage: sink.Dot, Probability: 0.02, Reply: defers}}
		options.DropAfterDot = 0.01
		more = ", attempts: 100, backoff: 1s..1s"
	}
	var err error
	if r.server, err = sink.Start(ctx, options); err != nil {
		return err
	}
	var list strings.Builder
	list.WriteString("email,name\n")
	for i := range 200 + r.rand.IntN(201) {
		to := fmt.Sprintf("reader%d@example.com", i)
		r.recipients = append(r.recipients, to)
		fmt.Fprintf(&list, "%s,Reader %d\n", to, i)
	}
	campaign := fmt.Sprintf(`name: crash
from: Example News <news@example.com>
subject: For {{ .name }}
recipients: list.csv
text: body.txt
smtp: {host: 127.0.0.1, port: %d, security: none, connections: %d, pipeline: %d}
delivery: {batch: %d, durability: %s%s}
`, r.server.Addr().(*net.TCPAddr).Port, r.connections, max(1, r.pipeline), r.batch, r.durability, more)
	r.note("%d recipients, %d connections, batches of %d, durability %s, a reply takes %v",
		len(r.recipients), r.connections, r.batch, r.durability, options.Latency)
	if err := os.Mkdir(r.queue, 0o700); err != nil {
		return err
	}
	if r.disk, err = openDisk(r.queue); err != nil {
		return err
	}
	for name, content := range map[string]string{"list.csv": list.String(), "campaign.yaml": campaign, "body.txt": strings.Repeat("Dear {{ .name }}, spring is here.\n", 40)} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) note(format string, args ...any) {
	r.history = append(r.history, fmt.Sprintf(format, args...))
}

func (r *run) command(ctx context.Context, binary string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, binary, args...)
	c.Dir = r.dir
	c.Env = append(os.Environ(), "MAILBLAST_DB="+filepath.Join(r.queue, queueName))
	return c
}

// A death is how a process is to be killed.
type death struct {
	how    string
	binary string
	args   []string        // of the command
	env    []string        // by which it kills itself
	moment <-chan struct{} // or it is killed when this is closed
}

// choose chooses the death of the next process. left is how many deaths are still to come, this one included.
func (r *run) choose(ctx context.Context, args []string, left int) death {
	d := death{binary: r.plain, args: args}
	if r.control != "" {
		d.env = append(d.env, "MAILBLAST_CRASH_CONTROL="+r.control)
		d.binary = r.crash
	}
	remaining := len(r.recipients) - r.witness.recipients()
	share := max(1, remaining/(left+1)) // messages that this process may send, so that all deaths find something to do
	// A step in recovery has nothing to do before something was interrupted.
	if first := len(r.history) == 1; r.step != "" && !(first && strings.HasSuffix(r.step, "-recover")) {
		d.how = fmt.Sprint(r.step, ":", 1+r.rand.IntN(r.passages(share)))
		if strings.HasSuffix(r.step, "-release") {
			d.args = append(slices.Clone(args), "--limit", fmt.Sprint(1+r.rand.IntN(share)), "--max-runtime", fmt.Sprint(20+r.rand.IntN(60), "ms"))
			d.how = r.step + ":1"
		}
		d.env = append(d.env, "MAILBLAST_CRASH="+d.how)
		d.binary = r.crash
	}
	if r.atDisk || r.power != "" || r.everyInstant {
		d.env = append(d.env, r.watchDisk()...)
	}
	if r.atDisk || r.power != "" && r.rand.IntN(2) == 0 {
		operations := 100 + 3*share // a list takes up to a hundred, a message two or three
		if r.rand.IntN(4) == 0 {
			operations = 30 // those by which the queue is made
		}
		at := fmt.Sprint([]string{"before", "after"}[r.rand.IntN(2)], ":", 1+r.rand.IntN(operations))
		d.env = append(d.env, "CRASH_DISK_KILL="+at)
		d.how = at + " of the disk's operations"
	}
	if d.how == "" {
		d.how, d.moment = r.randomMoment(ctx, share)
	}
	return d
}

// randomMoment is a moment while a process loads, or while it sends about share messages.
func (r *run) randomMoment(ctx context.Context, share int) (how string, moment <-chan struct{}) {
	reached := make(chan struct{})
	if r.rand.IntN(4) == 0 {
		d := time.Duration(r.rand.Int64N(int64(150 * time.Millisecond)))
		time.AfterFunc(d, func() { close(reached) })
		return fmt.Sprint("after ", d), reached
	}
	n, d := 1+r.rand.IntN(2*share), time.Duration(r.rand.Int64N(int64(3*time.Millisecond)))
	taken := r.witness.after(n)
	go func() {
		select {
		case <-taken:
			time.Sleep(d)
			close(reached)
		case <-ctx.Done():
		}
	}()
	return fmt.Sprintf("%v after acceptance %d", d, n), reached
}

// watchDisk is the environment in which a process writes down what it does to the disk.
func (r *run) watchDisk() []string {
	return []string{"LD_PRELOAD=" + r.preload, "CRASH_DISK_DIR=" + r.queue, "CRASH_DISK_LOG=" + r.log}
}

// pass starts one process, and kills it as choose says. left is how many deaths are still to come, this one included.
// It tells whether it was killed, and whether it came to the end of the campaign.
func (r *run) pass(ctx context.Context, args []string, left int) (killed, ended bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, passTime)
	defer cancel()
	d := r.choose(ctx, args, left)
	c := r.command(ctx, d.binary, d.args...)
	c.Env = append(c.Env, d.env...)
	var output strings.Builder
	c.Stdout, c.Stderr = &output, &output
	if err := c.Start(); err != nil {
		return false, false, err
	}
	exited := make(chan error, 1)
	go func() { exited <- c.Wait() }()
	select {
	case err = <-exited:
	case <-d.moment:
		c.Process.Kill()
		err = <-exited
	}
	if ctx.Err() != nil {
		return false, false, fmt.Errorf("%s: %w\n%s", strings.Join(d.args, " "), ctx.Err(), output.String())
	}
	code := c.ProcessState.ExitCode()
	end := fmt.Sprint("exit code ", code)
	if status := c.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() && status.Signal() == syscall.SIGKILL {
		killed, end = true, "killed"
	}
	r.note("%s, to be killed %s: %s; %d taken", strings.Join(d.args, " "), d.how, end, r.witness.recipients())
	if err := r.play(); err != nil {
		return false, false, err
	}
	switch {
	case killed, code == 0 && d.args[0] == "resume", code == 4:
	case code == 0, code == 3:
		ended = d.args[0] == "send"
	default:
		return false, false, fmt.Errorf("%s: %w\n%s", strings.Join(d.args, " "), err, output.String())
	}
	return killed, ended, nil
}

// passages is how often a step may be passed while share messages are sent.
func (r *run) passages(share int) int {
	switch strings.TrimPrefix(strings.TrimPrefix(r.step, "before-"), "after-") {
	case "recover", "release":
		return 1
	case "load":
		return len(r.recipients)
	case "dial":
		return r.connections
	case "claim":
		return 1 + share/r.batch
	case "begin", "finish":
		return 1 + share/r.connections
	}
	return share
}

// finish lets a process come to the end.
func (r *run) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, passTime)
	defer cancel()
	c := r.command(ctx, r.plain, "send", "campaign.yaml")
	if r.everyInstant {
		c.Env = append(c.Env, r.watchDisk()...)
	}
	out, err := c.CombinedOutput()
	if code := c.ProcessState.ExitCode(); code != 0 && code != 3 {
		return fmt.Errorf("the last send: %w\n%s", err, out)
	}
	r.note("send: exit code %d; %d taken", c.ProcessState.ExitCode(), r.witness.recipients())
	return nil
}
