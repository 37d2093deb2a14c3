//go:build unix

package smtp

import (
	"syscall"
	"testing"
)

// A flight goes out at once, however small it is: with Nagle's algorithm (RFC 896) it would wait for the
// acknowledgement of the one before. Go switches that off by itself; this is to notice when it no longer does.
func TestNoDelay(t *testing.T) {
	t.Parallel()
	s := dial(t, play(t, stepped, nil).config())
	raw, err := s.tcp.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		if on, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY); err != nil || on == 0 {
			t.Errorf("TCP_NODELAY is %d, %v", on, err)
		}
	})
}
