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
	if b.smtpSink != "" && j.pipeline <= 1 { // it does not offer CHUNKING
		args := []string{"-c", s.addr, "1000"}
		if os.Geteuid() == 0 {
			args = append([]string{"-u", "nobody"}, args...) // it refuses to be root
		}
		s.cmd, s.count, s.signal = exec.CommandContext(ctx, b.smtpSink, args...), sinkCounter, syscall.SIGTERM
	} else {
		s.cmd, s.count, s.signal = exec.CommandContext(ctx, b.mailblast, "sink", "--listen", s.addr), mailblastCounter, os.Interrupt
	}
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
