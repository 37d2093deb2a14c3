//go:build !unix

package smtp

import "net"

// readable cannot tell on this system.
func readable(net.Conn) bool { return false }
