//go:build unix

package smtp

import (
	"net"
	"syscall"
)

// readable reports, without waiting, whether octets or the end of the connection have arrived that were not read yet.
func readable(conn net.Conn) bool {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	found := false
	raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK) // net's descriptors do not block
		found = err == nil || err != syscall.EAGAIN && err != syscall.EINTR
	})
	return found
}
