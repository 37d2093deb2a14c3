package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// serverWait bounds how long a server may take to listen, and to go.
const serverWait = 10 * time.Second

// A relay is what a sender needs of its server, and how that is started.
type relay struct {
	chunking bool // it offers CHUNKING, so that pipelineDepth messages may be under way on a connection
	starttls bool // it offers STARTTLS, by a certificate in tlsFolder
	pinned   bool // it runs on processor 1, as a batch job
}

// pipelineDepth is how many messages are under way on a connection where there may be several.
const pipelineDepth = 8

func (r relay) depth() int {
	if r.chunking {
		return pipelineDepth
	}
	return 1
}

// trips are the round trips a message of a client that does not wait longer than it has to.
func (r relay) trips() float64 {
	if r.chunking {
		return 0.2
	}
	return 1.1
}

func (r relay) words() (words string) {
	if r.chunking {
		words += fmt.Sprintf(", %d under way", pipelineDepth)
	}
	if r.starttls {
		words += ", STARTTLS (TLS 1.3)"
	}
	if r.pinned {
		words += ", relay on one processor"
	}
	return words
}

// A server takes messages, counts them, and throws them away.
type server struct {
	addr   string
	cmd    *exec.Cmd
	log    string         // the file of what it prints
	count  *regexp.Regexp // of the messages in the log; the last match holds
	signal os.Signal      // ends it
}

var (
	sinkCounter      = regexp.MustCompile(`mesg= *(\d+)`)
	mailblastCounter = regexp.MustCompile(`messages (\d+)`)
)

// startServer starts a server for a job on a port of its own. Call stop.
func (b *bench) startServer(ctx context.Context, j job) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l.Close() // free, just now
	s := &server{addr: l.Addr().String()}
	s.cmd = b.serverCommand(ctx, s, j.relay)
	// A file, as reading a pipe would take processor time from those who are measured.
	log, err := os.CreateTemp(j.dir, "server-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.log, s.cmd.Stdout, s.cmd.Stderr = log.Name(), log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(serverWait); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", s.addr)
		if err == nil {
			conn.Close()
			return s, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			s.stop()
			return nil, fmt.Errorf("%s does not listen: %w: %s", filepath.Base(s.cmd.Path), err, tail(s.log))
		}
	}
}

// serverCommand is the program that s runs, which listens at its address. smtp-sink offers neither CHUNKING nor STARTTLS.
func (b *bench) serverCommand(ctx context.Context, s *server, r relay) *exec.Cmd {
	var args []string
	if r.pinned {
		args = append(args, "chrt", "-b", "0", "taskset", "-c", "1")
	}
	switch {
	case r.chunking || r.starttls || b.smtpSink == "":
		args = append(args, b.mailblast, "sink", "--listen", s.addr)
		if r.starttls {
			args = append(args, "--tls", "starttls", "--ca-out", filepath.Join(b.dir, tlsFolder, authorityFile))
		}
		s.count, s.signal = mailblastCounter, os.Interrupt
	default:
		args = append(args, b.smtpSink, "-c")
		if os.Geteuid() == 0 {
			args = append(args, "-u", "nobody") // it refuses to be root
		}
		args = append(args, s.addr, "1000")
		s.count, s.signal = sinkCounter, syscall.SIGTERM
	}
	return exec.CommandContext(ctx, args[0], args[1:]...)
}

// stop ends the server and returns how many messages it took.
func (s *server) stop() int {
	s.cmd.Process.Signal(s.signal)
	kill := time.AfterFunc(serverWait, func() { s.cmd.Process.Kill() })
	s.cmd.Wait()
	kill.Stop()
	n := 0
	for _, match := range s.count.FindAllStringSubmatch(tail(s.log), -1) {
		n, _ = strconv.Atoi(match[1])
	}
	return n
}

// tail is the end of a file.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	const size = 512
	if info, err := f.Stat(); err == nil {
		f.Seek(max(0, info.Size()-size), io.SeekStart)
	}
	end, _ := io.ReadAll(io.LimitReader(f, size))
	return string(end)
}
