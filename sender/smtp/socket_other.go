//go:build !linux

package smtp

import "net"

// newSocket is for Linux only.
func newSocket(conn net.Conn) net.Conn { return conn }
