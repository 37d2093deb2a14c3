//go:build !linux

package smtp

import "net"

// newSocket returns conn: sockets are for Linux only.
func newSocket(conn net.Conn) net.Conn { return conn }
