package callers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// clock is a clock that a test moves.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

// world is a health service that asks Callers who calls, and its listeners.
type world struct {
	t       *testing.T
	callers *Callers
	calls   atomic.Int64
	errs    sync.Map // of Authenticate, by number of call

	unix, plain, secure string // addresses to dial
}

const (
	numberHeader    = "x-test-number"
	principalHeader = "x-test-principal"
)

func newWorld(t *testing.T, cfg Config) *world {
	t.Helper()
	c, err := New(cfg)
	require.NoError(t, err)
	w := &world{t: t, callers: c}
	s := grpc.NewServer(grpc.Creds(c.Credentials()), grpc.UnaryInterceptor(w.intercept), grpc.ConnectionTimeout(10*time.Second))
	healthpb.RegisterHealthServer(s, health.NewServer())
	var lc net.ListenConfig
	listen := func(network, address string) net.Listener {
		l, err := lc.Listen(t.Context(), network, address)
		require.NoError(t, err)
		return l
	}
	socket := listen("unix", filepath.Join(t.TempDir(), "s"))
	plain, secure := listen("tcp", "127.0.0.1:0"), listen("tcp", "127.0.0.1:0")
	w.unix, w.plain, w.secure = "unix:"+socket.Addr().String(), plain.Addr().String(), secure.Addr().String()
	var serving sync.WaitGroup
	for _, l := range []net.Listener{socket, plain, SecureListener(secure)} {
		serving.Go(func() { _ = s.Serve(l) })
	}
	t.Cleanup(func() {
		s.Stop()
		serving.Wait()
		c.Close()
	})
	return w
}

func (w *world) intercept(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	p, err := w.callers.Authenticate(ctx)
	if err != nil {
		w.errs.Store(metadata.ValueFromIncomingContext(ctx, numberHeader)[0], err)
		return nil, status.Error(codes.Unauthenticated, "")
	}
	_ = grpc.SetHeader(ctx, metadata.Pairs(principalHeader, p))
	return handler(ctx, req)
}

// dial connects; tlsConfig nil means without TLS.
func (w *world) dial(address string, tlsConfig *tls.Config) *grpc.ClientConn {
	w.t.Helper()
	creds := insecure.NewCredentials()
	if tlsConfig != nil {
		creds = credentials.NewTLS(tlsConfig)
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(creds), grpc.WithAuthority("localhost"))
	require.NoError(w.t, err)
	w.t.Cleanup(func() { conn.Close() })
	return conn
}

// who calls with authorization headers and returns the principal, or the error of
// Authenticate, or that of a connection that was not made.
func (w *world) who(conn *grpc.ClientConn, headers ...string) (string, error) {
	number := strconv.FormatInt(w.calls.Add(1), 10)
	ctx := metadata.AppendToOutgoingContext(w.t.Context(), numberHeader, number)
	for _, h := range headers {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", h)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var header metadata.MD
	_, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}, grpc.Header(&header))
	if cause, ok := w.errs.Load(number); ok {
		return "", cause.(error)
	}
	if err != nil {
		return "", err
	}
	return header.Get(principalHeader)[0], nil
}

func (w *world) refusedToken(err error, why TokenFault) {
	w.t.Helper()
	var te *TokenError
	require.ErrorAs(w.t, err, &te)
	require.Equal(w.t, why, te.Why)
}

func (w *world) refusedCertificate(err error, why CertificateFault) {
	w.t.Helper()
	var ce *CertificateError
	require.ErrorAs(w.t, err, &ce)
	require.Equal(w.t, why, ce.Why)
}

// refusedConnection says that an RPC had no connection to go over.
func refusedConnection(t *testing.T, err error) {
	t.Helper()
	require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
}

// ca is an authority of a test.
type ca struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var serials atomic.Int64

func newCA(t testing.TB) *ca {
	t.Helper()
	c := &ca{t: t, key: newKey(t)}
	c.cert = c.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "authority " + strconv.FormatInt(serials.Add(1), 10)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotAfter: time.Now().Add(1000 * time.Hour),
	}, &c.key.PublicKey)
	return c
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func (c *ca) sign(template *x509.Certificate, public any) *x509.Certificate {
	c.t.Helper()
	template.SerialNumber = big.NewInt(serials.Add(1))
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-2 * time.Hour)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	parent := c.cert
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, c.key)
	require.NoError(c.t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(c.t, err)
	return cert
}

// leaf makes a client's certificate.
func (c *ca) leaf(template x509.Certificate) tls.Certificate {
	c.t.Helper()
	key := newKey(c.t)
	if template.ExtKeyUsage == nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	cert := c.sign(&template, &key.PublicKey)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// server makes the service's certificate.
func (c *ca) server() tls.Certificate {
	c.t.Helper()
	return c.leaf(x509.Certificate{
		Subject: pkix.Name{CommonName: "service"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
}

func (c *ca) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.cert)
	return pool
}

func (c *ca) pem() []byte { return pemOf("CERTIFICATE", c.cert.Raw) }

// crl revokes certificates until nextUpdate.
func (c *ca) crl(nextUpdate time.Time, certs ...tls.Certificate) []byte {
	c.t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(serials.Add(1)), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: nextUpdate}
	for _, cert := range certs {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: cert.Leaf.SerialNumber, RevocationTime: list.ThisUpdate})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, c.cert, c.key)
	require.NoError(c.t, err)
	return pemOf("X509 CRL", der)
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func keyPEM(t testing.TB, cert tls.Certificate) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	require.NoError(t, err)
	return pemOf("PRIVATE KEY", der)
}

func uris(t testing.TB, texts ...string) (all []*url.URL) {
	t.Helper()
	for _, text := range texts {
		u, err := url.Parse(text)
		require.NoError(t, err)
		all = append(all, u)
	}
	return all
}

// write puts a file there at once, as an operator's tool should.
func write(t testing.TB, path string, text []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", text, 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

// files are those of a TLS listener.
type files struct {
	TLS
	ca     *ca // signs the service's certificate and the callers'
	server tls.Certificate
}

func newFiles(t *testing.T) *files {
	t.Helper()
	dir := t.TempDir()
	f := &files{ca: newCA(t), TLS: TLS{
		CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), ClientCAFile: filepath.Join(dir, "ca.pem"),
	}}
	write(t, f.ClientCAFile, f.ca.pem())
	f.newServer(t)
	return f
}

// newServer replaces the service's certificate.
func (f *files) newServer(t *testing.T) {
	t.Helper()
	f.server = f.ca.server()
	write(t, f.CertFile, pemOf("CERTIFICATE", f.server.Certificate[0]))
	write(t, f.KeyFile, keyPEM(t, f.server))
}

// client is the configuration of a caller with these certificates.
func (f *files) client(certs ...tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: f.ca.pool(), ServerName: "localhost", Certificates: certs}
}

// testLeaf has a name that matters to nobody.
var testLeaf = x509.Certificate{DNSNames: []string{"leaf.example"}}
