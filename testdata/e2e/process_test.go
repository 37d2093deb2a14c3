package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// A process is a command that runs beside the test, and what it has said so far.
type process struct {
	*exec.Cmd
	t       *testing.T
	started chan struct{} // closed when it runs

	mu    sync.Mutex
	said  bytes.Buffer
	await string
	then  func()
}

// process is a command that is still to be started.
func (s *site) process(args ...string) *process {
	p := &process{Cmd: s.command(args...), t: s.t, started: make(chan struct{})}
	p.Stdout, p.Stderr = p, p
	return p
}

// when has a function called, once, when the process has said something. It is called before start.
func (p *process) when(text string, then func()) { p.await, p.then = text, then }

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said.Write(b)
	if p.then != nil && bytes.Contains(p.said.Bytes(), []byte(p.await)) {
		go p.then()
		p.then = nil
	}
	return len(b), nil
}

func (p *process) start() {
	p.t.Helper()
	p.startBy(p.Start)
}

// startBy is start by a function of the test's own.
func (p *process) startBy(start func() error) {
	p.t.Helper()
	if err := start(); err != nil {
		p.t.Fatal(err)
	}
	close(p.started)
	p.t.Cleanup(func() { p.Process.Kill() })
}

// signal sends signals, when it runs.
func (p *process) signal(signals ...os.Signal) {
	<-p.started
	for _, s := range signals {
		p.Process.Signal(s)
	}
}

// end waits until it leaves by itself, and returns its exit code and what it said.
func (p *process) end() (code int, said string) {
	p.t.Helper()
	err := p.Wait()
	p.t.Logf("mailblast %s: %v\n%s", strings.Join(p.Args[1:], " "), err, &p.said)
	if p.ProcessState.ExitCode() < 0 {
		p.t.Error(err)
	}
	return p.ProcessState.ExitCode(), p.said.String()
}

// kill ends it at once. It tells whether it still ran.
func (p *process) kill() bool {
	p.Process.Kill()
	return p.Wait() != nil && p.ProcessState.ExitCode() < 0
}
