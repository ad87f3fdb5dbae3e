package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"google.golang.org/grpc/test/bufconn"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/egress"
	"securesocket/server/listening"
	"securesocket/session"
)

// startExample runs a service and an HTTPS server in this process. Against a service of your own, client.Dial with its
// address is all of it.
func startExample() (c *client.Client, web *httptest.Server, stop func()) {
	c, web, _, stop = startCuttableExample()
	return c, web, stop
}

// startCuttableExample is startExample where cut breaks the way to the service.
func startCuttableExample() (c *client.Client, web *httptest.Server, cut, stop func()) {
	policy, err := egress.New(egress.Config{Allow: []string{"127.0.0.0/8"}, HasAllowList: true})
	if err != nil {
		log.Fatal(err)
	}
	places, err := listening.New(listening.Config{}) // loopback alone
	if err != nil {
		log.Fatal(err)
	}
	service := server.New(server.Config{
		Registry:     session.NewRegistry(session.Config{Egress: server.FixedEgress(policy), Listening: server.Listening(places)}),
		Authenticate: func(context.Context) (string, error) { return "example", nil },
	})
	listener := bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- service.Serve(listener) }()
	web = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello over %s\n", r.Proto)
	}))
	web.EnableHTTP2 = true
	web.Config.ErrorLog = log.New(io.Discard, "", 0) // refused certificates are part of an example
	web.StartTLS()
	ways := make(chan net.Conn, 100)
	c, err = client.Dial("grpc://service:7443", client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		way, err := listener.DialContext(ctx)
		if err == nil {
			ways <- way
		}
		return way, err
	}))
	if err != nil {
		log.Fatal(err)
	}
	cut = func() {
		for len(ways) > 0 {
			(<-ways).Close()
		}
	}
	return c, web, cut, func() {
		c.Close()
		web.Close()
		service.Close()
		<-served
	}
}

// A connection is a net.Conn: here, with the certificate of a test server as the only trust anchor.
func Example() {
	c, web, stop := startExample()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	dialer := client.Dialer{Client: c, RootCAs: [][]byte{web.Certificate().Raw}, NoSystemRoots: true}
	conn, err := dialer.Dial(ctx, "tcp", web.Listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Println(conn.CertificateStatus())

	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
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
	// CERTIFICATE_STATUS_TRUSTED
	// hello over HTTP/1.1
}

// Events tell how a connection comes up and ends.
func ExampleDialer_events() {
	c, web, stop := startExample()
	defer stop()
	dialer := client.Dialer{
		Client:        c,
		RootCAs:       [][]byte{web.Certificate().Raw},
		NoSystemRoots: true,
		OnEvent: func(e client.Event) {
			if e.GetStateChanged() == nil {
				fmt.Println(e.Name())
			}
		},
	}
	conn, err := dialer.Dial(context.Background(), "tcp", web.Listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	conn.Close()
	// Output:
	// host_found
	// tcp_connected
	// mode_changed
	// secure_connected
	// closed
}

// A refused certificate comes with the whole report and with what would mend it.
func ExampleError() {
	c, web, stop := startExample()
	defer stop()
	dialer := client.Dialer{Client: c, NoSystemRoots: true}
	_, err := dialer.Dial(context.Background(), "tcp", web.Listener.Addr().String())
	if e, ok := errors.AsType[*client.Error](err); ok {
		fmt.Println(e.Reason)
		fmt.Println("phase: ", e.Phase)
		fmt.Println("side:  ", e.Side())
		fmt.Println("remedy:", e.Remedy())
		for _, problem := range e.Report.GetProblems() {
			fmt.Println(problem.GetCode())
		}
	}
	// Output:
	// ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS
	// phase:  PHASE_CERTIFICATE
	// side:   peer
	// remedy: have the peer send its intermediates, or add the root that you trust
	// CERTIFICATE_PROBLEM_CODE_SELF_SIGNED_CERTIFICATE
}

// An http.Client over the service; the peer chooses HTTP/2 or 1.1.
func ExampleTransport() {
	c, web, stop := startExample()
	defer stop()
	transport := &client.Transport{Dialer: &client.Dialer{Client: c, RootCAs: [][]byte{web.Certificate().Raw}, NoSystemRoots: true}}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get(web.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", body)
	// Output: hello over HTTP/2.0
}

// Errors of the generated client decode into the same type.
func ExampleFromError() {
	c, _, stop := startExample()
	defer stop()
	_, err := c.Service().GetSession(context.Background(), &pb.GetSessionRequest{SessionId: "abcdefghijklmnopqrstuvwxyz"})
	fmt.Println(client.FromError(err).Reason)
	// Output: ERROR_REASON_SESSION_NOT_FOUND
}
