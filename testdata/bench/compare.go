package main

import (
	"context"
	"fmt"
	"os/exec"
	"time"
)

// compare is the table of senders.
func (b *bench) compare(ctx context.Context) error {
	senders := b.senders()
	if path := postfix("smtp-source"); path != "" {
		senders = append(senders, smtpSource(path, "Postfix smtp-source"), smtpSource(path, "Postfix smtp-source -d", "-d"))
	} else {
		b.note("smtp-source was not found and not measured: install Postfix (Debian package postfix)")
	}
	costs, err := b.rounds(ctx, senders, func(s sender) int { return b.n / s.share }, 0)
	if err != nil {
		return err
	}
	t := table{
		title:   fmt.Sprintf("Senders: %d connections, 10 KB HTML with three fields and a text part", b.conns),
		columns: []string{"sender", "messages", "messages/s", "(lowest to highest)", "mailblast is", "CPU µs a message", "peak MB"},
	}
	for i, s := range senders {
		if costs[i] == nil {
			continue
		}
		low, high := extremes(costs[i])
		faster := ratio(costs[0], costs[i], cost.rate)
		t.row(s.name, whole(float64(b.n/s.share)), whole(median(costs[i], cost.rate)), whole(low)+" to "+whole(high),
			times(faster), whole(median(costs[i], cost.perMessage)), peak(costs[i]))
		if s.goal > 0 {
			b.goal("messages/s, beside "+s.name, "≥ "+times(s.goal), times(faster), faster >= s.goal)
		}
		if s.cpu > 0 {
			more := ratio(costs[0], costs[i], cost.perMessage)
			b.goal("CPU a message, beside "+s.name, "≤ "+times(s.cpu), times(more), more <= s.cpu)
		}
	}
	t.print()
	cpu := median(costs[0], cost.perMessage)
	b.goal("CPU of the process a message, loading included", "≤ 75 µs", whole(cpu)+" µs", cpu <= 75)
	return nil
}

// send has one sender do one job, with env added to its environment, and fails unless the server took every message.
func (b *bench) send(ctx context.Context, s sender, n int, rtt time.Duration, env ...string) (c cost, err error) {
	err = b.inJob(ctx, n, b.conns, func(ctx context.Context, j job) error {
		if s.pushes {
			j.pipeline = pipelineDepth
		}
		c, err = b.serve(ctx, j, rtt, 0, func(ctx context.Context, j job) *exec.Cmd {
			cmd := s.command(ctx, j)
			cmd.Env = append(cmd.Environ(), env...)
			return cmd
		})
		if err == nil && c.messages != n {
			err = fmt.Errorf("the server took %d messages of %d", c.messages, n)
		}
		return err
	})
	if err != nil {
		return c, fmt.Errorf("%s: %w", s.name, err)
	}
	return c, nil
}

// rounds lets the senders take turns. The costs are by sender, then by round; one that fails is noted and has none, but
// without those of mailblast there is nothing to compare.
func (b *bench) rounds(ctx context.Context, senders []sender, n func(sender) int, rtt time.Duration) ([][]cost, error) {
	costs := make([][]cost, len(senders))
	failed := make([]bool, len(senders))
	for range b.runs {
		for i, s := range senders {
			if failed[i] {
				continue
			}
			c, err := b.send(ctx, s, n(s), rtt)
			switch {
			case err != nil && (i == 0 || ctx.Err() != nil):
				return nil, err
			case err != nil:
				b.note("failed: %v", err)
				failed[i], costs[i] = true, nil
			default:
				costs[i] = append(costs[i], c)
			}
		}
	}
	return costs, nil
}

// ratio is the median of a figure of a's by that of b's, round by round.
func ratio(a, b []cost, of func(cost) float64) float64 {
	values := make([]float64, len(a))
	for i := range a {
		values[i] = of(a[i]) / of(b[i])
	}
	return middle(values)
}
