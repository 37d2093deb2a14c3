package main

import (
	"context"
	_ "embed"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

//go:embed child/nodemailer.js
var nodemailerScript []byte

// A job is what every sender is asked to do.
type job struct {
	addr     string // of the server
	n, conns int
	list     string // CSV of n recipients
	dir      string // for what the sender writes; gone after the run
	relay    relay  // what the server has to be
}

// A sender is a process that does a job.
type sender struct {
	name    string
	share   int     // 4: it gets a fourth of the messages, as it is slow
	trips   float64 // round trips a message, roughly: sizes the runs behind the proxy
	goal    float64 // of mailblast's messages/s by this one's; 0: none
	cpu     float64 // of mailblast's processor time a message by this one's, at most; 0: there is no goal
	relay   relay   // what its server has to be; mailblast comes first among those that share one
	command func(context.Context, job) *exec.Cmd
}

// usual returns the senders to the usual server that are installed; mailblast is the first.
func (b *bench) usual() []sender {
	all := b.pair(relay{}, b.dir, "client-bare")
	all[1].goal, all[1].cpu = 0.75, 2.3
	all = append(all, sender{name: "go-simple-mail", share: 4, trips: 6, command: b.child("client-simple-mail", b.dir)})
	if b.nodePath != "" {
		all = append(all, sender{name: "Nodemailer, pooled", share: 4, trips: 2.2, goal: 8, command: func(ctx context.Context, j job) *exec.Cmd {
			cmd := exec.CommandContext(ctx, "node", filepath.Join(b.dir, "nodemailer.js"), j.addr, strconv.Itoa(j.conns), b.dir, j.list)
			cmd.Env = append(os.Environ(), "NODE_PATH="+b.nodePath)
			return cmd
		}})
	}
	return all
}

// pair is mailblast and a bare client of this program, which send to the same server.
func (b *bench) pair(r relay, dir, client string) []sender {
	return []sender{
		{name: "mailblast" + r.words(), share: 1, trips: r.trips(), relay: r, command: b.sendCommand(dir)},
		{name: "bare client" + r.words(), share: 1, trips: r.trips(), relay: r, command: b.child(client, dir)},
	}
}

// smtpSource neither fills in a template nor keeps a queue nor pipelines. By itself it makes a connection for each
// message; with -d it keeps them, as the others do.
func smtpSource(path, name string, args ...string) sender {
	return sender{name: name, share: 1, trips: 5, goal: 1, command: func(ctx context.Context, j job) *exec.Cmd {
		return exec.CommandContext(ctx, path, append(args, "-s", strconv.Itoa(j.conns), "-l", strconv.Itoa(htmlSize), "-m", strconv.Itoa(j.n), j.addr)...)
	}}
}

// sendCommand is mailblast sending the campaign in a folder.
func (b *bench) sendCommand(dir string) func(context.Context, job) *exec.Cmd {
	return func(ctx context.Context, j job) *exec.Cmd {
		return b.mailblastCommand(ctx, j, "send", filepath.Join(dir, "campaign.yaml"), "--recipients", j.list)
	}
}

// mailblastCommand is the binary with its queue in the job's folder.
func (b *bench) mailblastCommand(ctx context.Context, j job, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.mailblast, append(args, "--quiet", "--db", filepath.Join(j.dir, "queue.db"))...)
	_, port, _ := net.SplitHostPort(j.addr)
	cmd.Env = append(os.Environ(), "BENCH_PORT="+port, "BENCH_CONNECTIONS="+strconv.Itoa(j.conns), "BENCH_PIPELINE="+strconv.Itoa(j.relay.depth()))
	return cmd
}

// child is one of the clients of this program, in a process of its own, with the campaign in a folder.
func (b *bench) child(name, dir string) func(context.Context, job) *exec.Cmd {
	return func(ctx context.Context, j job) *exec.Cmd {
		return exec.CommandContext(ctx, "/proc/self/exe", name, j.addr, strconv.Itoa(j.n), strconv.Itoa(j.conns), dir)
	}
}

// findNodemailer sets nodePath, or notes why it cannot.
func (b *bench) findNodemailer(ctx context.Context, dir string, npm bool) {
	const absent = "Nodemailer was not measured: "
	if _, err := exec.LookPath("node"); err != nil {
		b.note(absent + "there is no node; install Node.js")
		return
	}
	switch {
	case dir != "":
	case npm:
		dir = filepath.Join(b.dir, "npm")
		cmd := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", dir, "nodemailer")
		cmd.WaitDelay = serverWait // for what npm itself may have started
		if out, err := cmd.CombinedOutput(); err != nil {
			b.note(absent+"npm install: %v: %.300s", err, out)
			return
		}
	default:
		b.note(absent + "name the folder with its node_modules by -nodemailer DIR, or have it installed for the run by -npm")
		return
	}
	path, err := filepath.Abs(filepath.Join(dir, "node_modules"))
	if err == nil {
		_, err = os.Stat(filepath.Join(path, "nodemailer"))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(b.dir, "nodemailer.js"), nodemailerScript, 0o644)
	}
	if err != nil {
		b.note(absent+"%v", err)
		return
	}
	b.nodePath = path
}
