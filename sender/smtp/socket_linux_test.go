package smtp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// pair is a socket and its other end.
func pair(t *testing.T) (*socket, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s, ok := newSocket(conn).(*socket)
	if !ok {
		t.Fatal("a TCP connection is no socket")
	}
	t.Cleanup(func() { s.Close(); other.Close() })
	return s, other
}

// More than the kernel's buffers hold is written in parts, and comes as it was.
func TestSocketWritesAll(t *testing.T) {
	s, other := pair(t)
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	got := make(chan []byte)
	go func() {
		time.Sleep(50 * time.Millisecond) // the buffers are full by then
		b, _ := io.ReadAll(other)
		got <- b
	}()
	if n, err := s.Write(want); n != len(want) || err != nil {
		t.Fatalf("%d of %d octets, %v", n, len(want), err)
	}
	s.CloseWrite()
	if !bytes.Equal(<-got, want) {
		t.Error("what came is not what was written")
	}
}

// The ends and the errors of a connection are those of net.
func TestSocketErrors(t *testing.T) {
	past := func(s *socket, _ net.Conn) { s.SetDeadline(time.Now().Add(-time.Second)) }
	for _, c := range []struct {
		name    string
		prepare func(*socket, net.Conn)
		read    error
		write   error
	}{
		{"the other end has closed", func(s *socket, other net.Conn) { other.Close() }, io.EOF, nil},
		{"this end was closed", func(s *socket, _ net.Conn) { s.Close() }, net.ErrClosed, net.ErrClosed},
		{"the deadline is over", past, os.ErrDeadlineExceeded, os.ErrDeadlineExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, other := pair(t)
			c.prepare(s, other)
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, c.read) {
				t.Errorf("read: %v, want %v", err, c.read)
			}
			if _, err := s.Write([]byte("x")); !errors.Is(err, c.write) {
				t.Errorf("write: %v, want %v", err, c.write)
			}
		})
	}
}

// Who waits is woken by what comes, by the deadline and by the close.
func TestSocketWaits(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*socket, net.Conn)
		want error
	}{
		{"data", func(_ *socket, other net.Conn) { other.Write([]byte("250 OK\r\n")) }, nil},
		{"end", func(_ *socket, other net.Conn) { other.Close() }, io.EOF},
		{"deadline", func(s *socket, _ net.Conn) { s.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) }, os.ErrDeadlineExceeded},
		{"close", func(s *socket, _ net.Conn) { s.Close() }, net.ErrClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, other := pair(t)
			got := make(chan error)
			go func() {
				_, err := s.Read(make([]byte, 100))
				got <- err
			}()
			time.Sleep(20 * time.Millisecond)
			c.do(s, other)
			if err := <-got; !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}
