package client_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"strings"

	"securesocket/client"
)

// exampleMail is an SMTP server with STARTTLS, and the certificate of web.
func exampleMail(web *httptest.Server) (address string, stop func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	config := &tls.Config{Certificates: web.TLS.Certificates}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if conn, err := listener.Accept(); err == nil {
			serveSMTP(conn, config, "")
		}
	}()
	return listener.Addr().String(), func() {
		listener.Close()
		<-served
	}
}

// The service asks the peer for TLS. A library that wants to read SMTP's greeting gets it from the Conn.
func ExampleConn_Greeting() {
	c, web, stop := startExample()
	defer stop()
	address, stopMail := exampleMail(web)
	defer stopMail()

	dialer := client.Dialer{
		Client: c, StartTLSProtocol: "smtp",
		RootCAs: [][]byte{web.Certificate().Raw}, NoSystemRoots: true,
	}
	conn, err := dialer.Dial(context.Background(), "tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	mail, err := smtp.NewClient(&greeted{conn, io.MultiReader(bytes.NewReader(conn.Greeting()), conn)}, "mail.example")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", bytes.TrimSpace(conn.Greeting()))
	fmt.Println(conn.CertificateStatus(), mail.Noop())
	mail.Quit()
	// Output:
	// 220 mail.example ESMTP
	// CERTIFICATE_STATUS_TRUSTED <nil>
}

// A protocol that the service does not know: its words are spoken here, byte by byte, so that none of TLS is read.
func ExampleConn_StartTLS() {
	c, web, stop := startExample()
	defer stop()
	address, stopMail := exampleMail(web)
	defer stopMail()

	dialer := client.Dialer{Client: c, RootCAs: [][]byte{web.Certificate().Raw}, NoSystemRoots: true}
	conn, err := dialer.DialPlain(context.Background(), "tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	line := func() string {
		var text strings.Builder
		for b := []byte{0}; b[0] != '\n'; text.WriteByte(b[0]) {
			if _, err := io.ReadFull(conn, b); err != nil {
				log.Fatal(err)
			}
		}
		return strings.TrimSpace(text.String())
	}
	fmt.Println(line())
	fmt.Fprint(conn, "STARTTLS\r\n")
	fmt.Println(line())
	if err := conn.StartTLS(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(conn, "QUIT\r\n")
	fmt.Println(line())
	fmt.Println(conn.Encrypted())
	// Output:
	// 220 mail.example ESMTP
	// 220 go ahead
	// 221 bye
	// true
}

// The service listens, and net/http serves.
func ExampleClient_Listen() {
	c, web, stop := startExample()
	defer stop()
	identity, err := client.CallerHeldIdentity(web.TLS.Certificates[0]) // its key stays here
	if err != nil {
		log.Fatal(err)
	}
	listener, err := c.Listen(context.Background(), "127.0.0.1:0", &client.ListenConfig{Identities: []*client.Identity{identity}})
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "hello from afar")
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	conn, err := tls.Dial("tcp", listener.Addr().String(), web.Client().Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", body)
	conn.Close()
	server.Close()
	<-served
	// Output: hello from afar
}
