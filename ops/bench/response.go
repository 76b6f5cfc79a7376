package main

import (
	"bytes"
	"fmt"
	"strconv"
)

var (
	headerEnd    = []byte("\r\n\r\n")
	statusOK     = []byte("HTTP/1.1 200 ")
	errorsMember = []byte(`{"errors"`)
	lengthNames  = [][]byte{[]byte("\r\nContent-Length: "), []byte("\r\ncontent-length: ")}
)

// responseSize is the length of a response with its header, or 0 while the
// header is not whole. All but a 200 of known length without errors is an error.
func responseSize(input []byte) (int, error) {
	end := bytes.Index(input, headerEnd)
	if end < 0 {
		return 0, nil
	}
	header, body := input[:end+2], input[end+len(headerEnd):]
	if !bytes.HasPrefix(header, statusOK) || bytes.HasPrefix(body, errorsMember) {
		return 0, fmt.Errorf("answered %.600s", input)
	}
	for _, name := range lengthNames {
		_, digits, found := bytes.Cut(header, name)
		if !found {
			continue
		}
		digits, _, _ = bytes.Cut(digits, []byte("\r"))
		length, err := strconv.Atoi(string(digits))
		if err != nil || length < 0 {
			return 0, fmt.Errorf("the Content-Length is no length: %.600s", header)
		}
		return end + len(headerEnd) + length, nil
	}
	return 0, fmt.Errorf("a response without Content-Length: %.600s", header)
}
