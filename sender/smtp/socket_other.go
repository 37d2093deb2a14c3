//go:build !linux

package smtp

import "net"

// quick is for Linux only.
func quick(conn net.Conn) net.Conn { return conn }
