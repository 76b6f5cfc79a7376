//go:build !race && (amd64 || arm64)

package rawconn

func tellSend([]byte) {}

func tellReceived(uintptr, []byte) {}
