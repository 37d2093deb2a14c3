//go:build !unix

package smtp

import "net"

// waiting cannot tell here.
func waiting(net.Conn) bool { return false }
