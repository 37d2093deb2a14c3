package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// sendLimit bounds what is sent of a long list.
const sendLimit = 20_000

// loadGoals are how long loading may take, by rows.
var loadGoals = map[int]time.Duration{1_000_000: 5 * time.Second, 10_000_000: 55 * time.Second}

// loadGoal adds what loading took to the goals, and returns the goal, if there is one for so many rows.
func (b *bench) loadGoal(rows int, costs []cost) (seconds float64, goal string) {
	seconds = median(costs, func(c cost) float64 { return c.elapsed.Seconds() })
	most, ok := loadGoals[rows]
	if !ok {
		return seconds, ""
	}
	goal = fmt.Sprintf("≤ %v s", most.Seconds())
	b.goal(fmt.Sprintf("load of %s rows: time", whole(float64(rows))), goal, fmt.Sprintf("%.2f s", seconds), seconds <= most.Seconds())
	return seconds, goal
}

// loads prints the table of loading by itself.
func (b *bench) loads(ctx context.Context, rows []int) error {
	costs := make([][]cost, len(rows))
	for range b.runs {
		for i, n := range rows {
			err := b.inJob(ctx, n, b.conns, func(ctx context.Context, j job) error {
				c, err := b.load(ctx, j)
				costs[i] = append(costs[i], c)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	t := table{title: "Loading: rows of 6 columns, and sending one message", columns: []string{"rows", "load s", "goal", "rows/s", "peak MB"}}
	for i, n := range rows {
		seconds, goal := b.loadGoal(n, costs[i])
		t.row(whole(float64(n)), fmt.Sprintf("%.2f", seconds), goal, whole(float64(n)/seconds), peak(costs[i]))
	}
	t.print()
	return nil
}

// load has mailblast load the list of a job, and send one message of it.
func (b *bench) load(ctx context.Context, j job) (cost, error) {
	c, err := b.serve(ctx, j, 0, unfinished, func(ctx context.Context, j job) *exec.Cmd {
		return b.mailblastCommand(ctx, j, "send", filepath.Join(b.dir, "campaign.yaml"), "--recipients", j.list, "--limit", "1", "--wait", "0s")
	})
	if err == nil && c.messages != 1 {
		err = fmt.Errorf("the server took %d messages while loading, which should be 1", c.messages)
	}
	if err != nil {
		return c, fmt.Errorf("mailblast send, list of %d: %w", j.n, err)
	}
	return c, nil
}

// lists prints the table of loading and of memory.
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
		columns: []string{"rows", "load s", "goal", "rows/s", "load peak MB", "messages", "messages/s", "send peak MB"},
	}
	for i, n := range rows {
		seconds, goal := b.loadGoal(n, loads[i])
		t.row(whole(float64(n)), fmt.Sprintf("%.2f", seconds), goal, whole(float64(n)/seconds), peak(loads[i]),
			whole(float64(sends[i][0].messages)), whole(median(sends[i], cost.rate)), peak(sends[i]))
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

// loadThenSend loads a list of so many rows, and then sends more of it in a second process, so that what each takes
// shows; more are the second's arguments.
func (b *bench) loadThenSend(ctx context.Context, rows, conns int, rtt time.Duration, more ...string) (load, send cost, err error) {
	err = b.inJob(ctx, rows, conns, func(ctx context.Context, j job) (err error) {
		if load, err = b.load(ctx, j); err != nil {
			return err
		}
		send, err = b.serve(ctx, j, rtt, unfinished, func(ctx context.Context, j job) *exec.Cmd {
			return b.mailblastCommand(ctx, j, append([]string{"resume", "--wait", "0s"}, more...)...)
		})
		if err == nil && send.messages == 0 {
			err = errors.New("the server took nothing")
		}
		if err != nil {
			return fmt.Errorf("mailblast resume, list of %d: %w", rows, err)
		}
		return nil
	})
	return load, send, err
}

// starts prints how long a person waits who looks at a large queue, or goes on with it.
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
		if _, err := b.load(ctx, j); err != nil {
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
