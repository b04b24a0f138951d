// Go's runtime poller, with its preemption signals: `go run client.go SOCKET PORT`.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
)

func echo(network, address string) string {
	connection, err := net.Dial(network, address)
	if err != nil {
		return err.Error()
	}
	defer connection.Close()
	fmt.Fprint(connection, "ping")
	answer := make([]byte, 4)
	if _, err := io.ReadFull(connection, answer); err != nil {
		return err.Error()
	}
	return string(answer)
}

func main() {
	path, port := os.Args[1], os.Args[2]
	fmt.Println("go unix", echo("unix", path))
	fmt.Println("go tcp", echo("tcp", "127.0.0.1:"+port))
	var right atomic.Int32
	var all sync.WaitGroup
	for i := 0; i < 50; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			if echo("unix", path) == "ping" {
				right.Add(1)
			}
		}()
	}
	all.Wait()
	fmt.Println("go many", right.Load())
}
