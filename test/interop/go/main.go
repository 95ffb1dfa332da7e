// Command interop is one end of a yamux session over TCP, made of hashicorp/yamux, that does what the other end asks of it.
//
// It dials the address given and takes the side given. On every stream that is opened to it, it reads a line:
//
//	echo           sends back what follows, and ends when the other end has
//	late           reads to the end, then answers with how many bytes that were
//	abandon        ends its half at once; hashicorp/yamux resets the stream when the other half stays open
//	await-reset    answers "ready", reads until an error, which it reports on the next "last-error" stream
//	last-error     answers with that error
//	drive N BYTES  opens N streams at once, writes BYTES to each, ends, and compares what is echoed; answers "ok" or what is wrong
//	ping           measures the round trip; answers "ok"
//	go-away        refuses further streams; answers "ok"
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: interop client|server ADDRESS")
	}
	socket, err := net.Dial("tcp", os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	config := yamux.DefaultConfig()
	config.MaxStreamWindowSize = 1024 * 1024
	config.StreamCloseTimeout = 300 * time.Millisecond
	// Window updates that cross the last FIN are normal and would be logged one by one.
	config.LogOutput = io.Discard
	open := yamux.Server
	if os.Args[1] == "client" {
		open = yamux.Client
	}
	session, err := open(socket, config)
	if err != nil {
		log.Fatal(err)
	}
	worker := &worker{session: session}
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return
		}
		go worker.serve(stream)
	}
}

type worker struct {
	session *yamux.Session
	lock    sync.Mutex
	last    string
}

func (w *worker) serve(stream *yamux.Stream) {
	reader := bufio.NewReader(stream)
	line, err := reader.ReadString('\n')
	if err != nil {
		return
	}
	answer := ""
	var streams, size int
	switch command := strings.TrimSpace(line); command {
	case "echo":
		io.Copy(stream, reader)
	case "late":
		count, err := io.Copy(io.Discard, reader)
		answer = fmt.Sprint(count, err)
	case "abandon":
	case "await-reset":
		io.WriteString(stream, "ready")
		_, err := io.Copy(io.Discard, reader)
		w.lock.Lock()
		w.last = fmt.Sprint(err)
		w.lock.Unlock()
		return
	case "last-error":
		w.lock.Lock()
		answer = w.last
		w.lock.Unlock()
	case "ping":
		_, err := w.session.Ping()
		answer = orOk(err)
	case "go-away":
		answer = orOk(w.session.GoAway())
	default:
		if _, err := fmt.Sscanf(command, "drive %d %d", &streams, &size); err != nil {
			answer = "unknown command " + command
		} else {
			answer = w.drive(streams, size)
		}
	}
	io.WriteString(stream, answer)
	stream.Close()
}

func (w *worker) drive(streams, size int) string {
	results := make(chan error, streams)
	for index := 0; index < streams; index++ {
		go func(index int) { results <- w.exchange(index, size) }(index)
	}
	for index := 0; index < streams; index++ {
		if err := <-results; err != nil {
			return err.Error()
		}
	}
	return "ok"
}

func (w *worker) exchange(index, size int) error {
	stream, err := w.session.OpenStream()
	if err != nil {
		return err
	}
	sent := make([]byte, size)
	for at := range sent {
		sent[at] = byte(at*31 + index)
	}
	// Close is hashicorp/yamux's half-close, but what is not read 300 ms later it resets: write and read at once, close last.
	failed := make(chan error, 1)
	go func() {
		_, err := stream.Write(sent)
		failed <- err
	}()
	got := make([]byte, size)
	if _, err := io.ReadFull(stream, got); err != nil {
		return fmt.Errorf("stream %d: %w", index, err)
	}
	if err := <-failed; err != nil {
		return err
	}
	if !bytes.Equal(sent, got) {
		return fmt.Errorf("stream %d: the echo differs", index)
	}
	stream.Close()
	if count, err := stream.Read(got); err != io.EOF {
		return fmt.Errorf("stream %d: %d more bytes, %v instead of EOF", index, count, err)
	}
	return nil
}

func orOk(err error) string {
	if err != nil {
		return err.Error()
	}
	return "ok"
}
