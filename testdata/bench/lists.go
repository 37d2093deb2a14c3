package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// sendLimit bounds what is sent of a long list.
const sendLimit = 20_000

// lists is the table of loading and of memory.
func (b *bench) lists(ctx context.Context, rows []int) error {
	loads, sends := make([][]cost, len(rows)), make([][]cost, len(rows))
	for range b.runs {
		for i, n := range rows {
			limit := min(sendLimit, n-1)
			load, send, err := b.loadThenSend(ctx, n, b.conns, 0, "--limit", strconv.Itoa(limit))
			if err != nil {
				return err
			}
			if send.messages != limit {
				return fmt.Errorf("list of %d: the server took %d messages of %d", n, send.messages, limit)
			}
			loads[i], sends[i] = append(loads[i], load), append(sends[i], send)
		}
	}
	t := table{
		title:   "Lists: loading rows of 6 columns (and sending one message), then sending more in a second process",
		columns: []string{"rows", "load s", "rows/s", "load peak MB", "messages", "messages/s", "send peak MB"},
	}
	for i, n := range rows {
		seconds := median(loads[i], func(c cost) float64 { return c.elapsed.Seconds() })
		t.row(whole(float64(n)), fmt.Sprintf("%.2f", seconds), whole(float64(n)/seconds), peak(loads[i]),
			whole(float64(sends[i][0].messages)), whole(median(sends[i], cost.rate)), peak(sends[i]))
		if n == 1_000_000 {
			b.goal("load of 1,000,000 rows: time", "≤ 5 s", fmt.Sprintf("%.2f s", seconds), seconds <= 5)
		}
		if n >= 1_000_000 {
			load, send := median(loads[i], cost.megabytes), median(sends[i], cost.megabytes)
			b.goal(fmt.Sprintf("load of %s rows: peak memory", whole(float64(n))), "≤ 64 MB", whole(load)+" MB", load <= 64)
			b.goal(fmt.Sprintf("sending from %s rows: peak memory", whole(float64(n))), "≤ 64 MB", whole(send)+" MB", send <= 64)
		}
	}
	t.print()
	last := len(rows) - 1
	low, high := median(sends[0], cost.megabytes), median(sends[last], cost.megabytes)
	b.goal(fmt.Sprintf("peak memory, sending from %s and from %s rows", whole(float64(rows[0])), whole(float64(rows[last]))),
		"flat: ≤ "+times(1.2), fmt.Sprintf("%.0f and %.0f MB: %s", low, high, times(high/low)), high <= 1.2*low)
	return nil
}

// unfinished is mailblast's exit code while recipients are queued.
const unfinished = 4

// loadThenSend loads a list of so many rows, sending one message of it, and then sends more in a second process, so that what each
// takes shows; more are the second's arguments.
func (b *bench) loadThenSend(ctx context.Context, rows, conns int, rtt time.Duration, more ...string) (load, send cost, err error) {
	err = b.inJob(ctx, rows, conns, func(ctx context.Context, j job) error {
		var err error
		for step, args := range [][]string{{"send", filepath.Join(b.dir, "campaign.yaml"), "--recipients", j.list, "--limit", "1"}, append([]string{"resume"}, more...)} {
			c, distance := &load, time.Duration(0)
			if step == 1 {
				c, distance = &send, rtt
			}
			*c, err = b.serve(ctx, j, distance, unfinished, func(ctx context.Context, j job) *exec.Cmd {
				return b.mailblastCommand(ctx, j, append(args, "--wait", "0s")...)
			})
			if err != nil {
				return fmt.Errorf("mailblast %s, list of %d: %w", args[0], rows, err)
			}
		}
		if load.messages != 1 || send.messages == 0 {
			return fmt.Errorf("list of %d: the server took %d messages while loading, which should be 1, and %d after it", rows, load.messages, send.messages)
		}
		return nil
	})
	return load, send, err
}

// starts is the table of what a person waits for who looks at a large queue, or goes on with it.
func (b *bench) starts(ctx context.Context, rows int) error {
	commands := []struct {
		name string
		args []string
	}{
		{"status", []string{"status"}},
		{"resume, one message sent", []string{"resume", "--limit", "1", "--wait", "0s"}},
	}
	costs := make([][]cost, len(commands))
	err := b.inJob(ctx, rows, 1, func(ctx context.Context, j job) error {
		measure := func(args []string) (cost, error) {
			return b.serve(ctx, j, 0, unfinished, func(ctx context.Context, j job) *exec.Cmd { return b.mailblastCommand(ctx, j, args...) })
		}
		if _, err := measure([]string{"send", filepath.Join(b.dir, "campaign.yaml"), "--recipients", j.list, "--limit", "1"}); err != nil {
			return err
		}
		for range b.runs {
			for i, command := range commands {
				c, err := measure(command.args)
				if err != nil {
					return fmt.Errorf("mailblast %s on %d rows: %w", command.name, rows, err)
				}
				costs[i] = append(costs[i], c)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	t := table{title: fmt.Sprintf("Starts: on a queue of %s rows, from the start of the process to its end", whole(float64(rows))), columns: []string{"command", "ms", "peak MB"}}
	for i, command := range commands {
		ms := median(costs[i], func(c cost) float64 { return c.elapsed.Seconds() * 1000 })
		t.row(command.name, whole(ms), peak(costs[i]))
		b.goal(fmt.Sprintf("%s, on a queue of %s rows", command.name, whole(float64(rows))), "≤ 200 ms", whole(ms)+" ms", ms <= 200)
	}
	t.print()
	return nil
}
