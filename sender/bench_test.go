package sender

import (
	"context"
	"testing"

	"mailblast/campaign/mail"
	"mailblast/sender/reply"
)

// BenchmarkRun is what a message costs besides composing it and the wire: claim, begin and finish in a real queue, and the
// way between the goroutines. The server answers at once.
func BenchmarkRun(b *testing.B) {
	for _, durability := range []string{"strict", "process"} {
		b.Run(durability, func(b *testing.B) {
			q := newQueue(b, b.N, durability)
			b.ReportAllocs()
			b.ResetTimer()
			if err := run(q, instant{}, setup{Options{Compose: compose}, Route{Connections: 10}}); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// An instant server takes every message at once.
type instant struct{}

func (instant) Dial(context.Context) (Session, error) { return instant{}, nil }
func (instant) Depth() int                            { return 1 }
func (instant) Offer(*mail.Message)                   {}
func (instant) Ready() (bool, error)                  { return true, nil }
func (instant) Send() error                           { return nil }
func (instant) Answer() (reply.Answer, error) {
	return replies.Answer(reply.Dot, reply.Reply{Code: 250, Status: "2.0.0", Text: "Ok: queued as 4XyZ1234567"}), nil
}
func (instant) Broken() bool { return false }
func (instant) Quit()        {}
func (instant) Close()       {}
