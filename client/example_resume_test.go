package client_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"

	"securesocket/client"
)

// A resumable connection does not notice that the way to the service breaks between the request and the response.
func ExampleDialer_resumable() {
	c, web, cut, stop := startCuttableExample()
	defer stop()
	dialer := client.Dialer{
		Client: c, RootCAs: [][]byte{web.Certificate().Raw}, NoSystemRoots: true,
		Resumable: true,
		OnResume:  func(client.Resumed) { fmt.Println("it broke, and goes on") },
	}
	conn, err := dialer.Dial(context.Background(), "tcp", web.Listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: example.com\r\n")
	cut()
	fmt.Fprint(conn, "Connection: close\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", body)
	// Output:
	// it broke, and goes on
	// hello over HTTP/1.1
}

// A process that is killed leaves a bookmark behind, and the next one goes on where it was.
func ExampleDialer_Resume() {
	c, web, _, stop := startCuttableExample()
	defer stop()
	dialer := client.Dialer{Client: c, RootCAs: [][]byte{web.Certificate().Raw}, NoSystemRoots: true, Resumable: true, ManualAck: true}
	first, err := dialer.Dial(context.Background(), "tcp", web.Listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(first, "GET / HTTP/1.1\r\n")
	saved, err := json.Marshal(first.Bookmark()) // keep it as safe as a password
	if err != nil {
		log.Fatal(err)
	}

	var bookmark client.Bookmark
	if err := json.Unmarshal(saved, &bookmark); err != nil {
		log.Fatal(err)
	}
	second, err := dialer.Resume(context.Background(), bookmark)
	if err != nil {
		log.Fatal(err)
	}
	defer second.Close()
	request := "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"
	fmt.Fprint(second, request[second.SentOffset():]) // what the service has not got yet
	response, err := http.ReadResponse(bufio.NewReader(second), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", body)
	// Output: hello over HTTP/1.1
}
