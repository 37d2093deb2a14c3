package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A cost is what a process took, from its start to its end.
type cost struct {
	messages int
	elapsed  time.Duration
	cpu      time.Duration // user and system
	rss      int64         // bytes, at the peak
	ours     bool          // the peak may be this program's, see measure
}

func (c cost) rate() float64 { return float64(c.messages) / c.elapsed.Seconds() }

// perMessage is processor time in microseconds.
func (c cost) perMessage() float64 { return float64(c.cpu.Microseconds()) / float64(c.messages) }

func (c cost) megabytes() float64 { return float64(c.rss) / 1e6 }

// measure runs a process to its end. An exit code other than 0 and ok is an error, with the last that it printed.
//
// The kernel carries a peak over an exec, and between Go's fork and exec the child wears this program's memory. So a peak
// below our own cannot be seen, and this program stays small.
func measure(ctx context.Context, cmd *exec.Cmd, dir string, ok int) (cost, error) {
	log, err := os.CreateTemp(dir, "client-*.log")
	if err != nil {
		return cost{}, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	start := time.Now()
	err = cmd.Run()
	elapsed := time.Since(start)
	switch {
	case ctx.Err() != nil:
		return cost{}, context.Cause(ctx)
	case cmd.ProcessState == nil:
		return cost{}, err
	case err != nil && cmd.ProcessState.ExitCode() != ok:
		return cost{}, fmt.Errorf("%w: %s", err, strings.TrimSpace(tail(log.Name())))
	}
	rss := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	own, err := ownPeak()
	return cost{elapsed: elapsed, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), rss: rss, ours: rss <= own+own/8}, err
}

// ownPeak is the peak memory of this program in bytes. Getrusage would count what go run took before its exec.
func ownPeak() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	value, _, _ := strings.Cut(rest, "kB")
	kb, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	return kb << 10, err
}

// serve measures a process that sends to a server of its own, at a distance; the cost tells how many messages arrived.
func (b *bench) serve(ctx context.Context, j job, rtt time.Duration, ok int, command func(context.Context, job) *exec.Cmd) (cost, error) {
	s, err := b.startServer(ctx, j)
	if err != nil {
		return cost{}, err
	}
	j.addr = s.addr
	hangUp := func() {}
	if rtt > 0 {
		if j.addr, hangUp, err = startProxy(s.addr, rtt); err != nil {
			s.stop()
			return cost{}, err
		}
	}
	c, err := measure(ctx, command(ctx, j), j.dir, ok)
	c.messages = s.stop()
	hangUp()
	return c, err
}

// inJob gives a call a job for n recipients, in bounded time.
func (b *bench) inJob(ctx context.Context, n, conns int, call func(context.Context, job) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, runLimit, fmt.Errorf("not done after %v", runLimit))
	defer cancel()
	list, err := b.list(n)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "run-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return call(ctx, job{n: n, conns: conns, list: list, dir: dir})
}

// median returns the median of one figure of the costs.
func median(costs []cost, of func(cost) float64) float64 {
	values := make([]float64, len(costs))
	for i, c := range costs {
		values[i] = of(c)
	}
	return middle(values)
}

func middle(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
