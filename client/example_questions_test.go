package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"time"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// A person, or a rule, decides about a certificate that has problems. What is shown is claimed by the peer and not yet
// proven: decide, and do not keep it.
func ExampleDialer_decide() {
	c, web, stop := startExample()
	defer stop()
	dialer := client.Dialer{
		Client:        c,
		NoSystemRoots: true,
		Decide: func(_ context.Context, q *client.Question) client.Answer {
			return q.AcceptIf(func(p *pb.CertificateProblem) bool {
				fmt.Println(p.GetCode())
				return p.GetCode() == pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_SELF_SIGNED_CERTIFICATE
			})
		},
	}
	conn, err := dialer.Dial(context.Background(), "tcp", web.Listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Println(conn.CertificateStatus(), conn.TrustBasis())
	// Output:
	// CERTIFICATE_PROBLEM_CODE_SELF_SIGNED_CERTIFICATE
	// CERTIFICATE_STATUS_TRUSTED TRUST_BASIS_OVERRIDE
}

// The peer wants a client certificate, whose key stays in this process: any crypto.Signer will do, also one in a
// hardware module.
func ExampleCallerHeldIdentity() {
	c, _, stop := startExample()
	defer stop()
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello, %s\n", r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	web.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	web.StartTLS()
	defer web.Close()

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "alice"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		log.Fatal(err)
	}
	identity, err := client.CallerHeldIdentity(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
	if err != nil {
		log.Fatal(err)
	}
	transport := &client.Transport{Dialer: &client.Dialer{
		Client: c, RootCAs: [][]byte{web.Certificate().Raw}, NoSystemRoots: true,
		Identities: []*client.Identity{identity},
	}}
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
	// Output: hello, alice
}

// A probe tells everything about a peer and leaves nothing behind.
func ExampleDialer_Probe() {
	c, web, stop := startExample()
	defer stop()
	dialer := client.Dialer{Client: c, NoSystemRoots: true, VerifyNames: []string{"example.org"}}
	found, err := dialer.Probe(context.Background(), "tcp", web.Listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(found.GetFailure().GetReason())
	for _, problem := range found.GetReport().GetProblems() {
		fmt.Println(problem.GetCode())
	}
	// Output:
	// ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS
	// CERTIFICATE_PROBLEM_CODE_HOST_NAME_MISMATCH
	// CERTIFICATE_PROBLEM_CODE_SELF_SIGNED_CERTIFICATE
}
