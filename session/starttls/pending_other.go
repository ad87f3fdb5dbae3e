//go:build !unix

package starttls

import "net"

func pending(net.Conn) (bool, error) { return false, nil }
