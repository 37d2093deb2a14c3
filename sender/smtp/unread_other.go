//go:build !unix

package smtp

import "net"

// readable cannot tell here.
func readable(net.Conn) bool { return false }
