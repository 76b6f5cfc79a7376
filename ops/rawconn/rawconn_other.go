//go:build !linux || !(amd64 || arm64)

package rawconn

import "net"

// Wrap returns conn: what it saves is known of Linux alone.
func Wrap(conn net.Conn) net.Conn { return conn }
