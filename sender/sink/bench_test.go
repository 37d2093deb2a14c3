package sink

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkTake is the load that the sink is for: ten connections, each with the end of a message and the next
// envelope in one flight, 10 KB messages, nothing kept. Client and server share the machine.
func BenchmarkTake(b *testing.B) {
	const connections = 10
	server, err := Start(context.Background(), Options{Listen: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close(context.Background())

	content := strings.Repeat(strings.Repeat("x", 76)+"\r\n", 131) + ".\r\n"
	b.SetBytes(int64(len(content)))
	b.ResetTimer()
	start := time.Now()
	var wg sync.WaitGroup
	for i := range connections {
		wg.Go(func() {
			n := b.N / connections
			if i < b.N%connections {
				n++
			}
			if err := flood(server.Addr().String(), i, n, content); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "messages/s")
	if c := server.Counts(); c.Accepted != int64(b.N) {
		b.Errorf("accepted %d of %d", c.Accepted, b.N)
	}
}

func flood(address string, worker, n int, content string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	expect := func(code string) error {
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return err
			}
			if !bytes.HasPrefix(line, []byte(code)) {
				return fmt.Errorf("got %q, want %s", line, code)
			}
			if line[3] == ' ' {
				return nil
			}
		}
	}
	codes := []string{"220", "250", "250", "250", "354"}
	flight := []byte("EHLO bench\r\n")
	for i := range n {
		flight = fmt.Appendf(flight, "MAIL FROM:<a@example.com>\r\nRCPT TO:<r%d.%d@example.com>\r\nDATA\r\n", worker, i)
		if _, err := conn.Write(flight); err != nil {
			return err
		}
		for _, code := range codes {
			if err := expect(code); err != nil {
				return err
			}
		}
		flight = append(flight[:0], content...)
		codes = []string{"250", "250", "250", "354"}
	}
	if _, err := conn.Write(flight); err != nil || n == 0 {
		return err
	}
	return expect("250")
}
