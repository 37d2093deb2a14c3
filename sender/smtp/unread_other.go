//go:build !unix

package smtp

import "net"

// unread cannot tell here.
func unread(net.Conn) bool { return false }
