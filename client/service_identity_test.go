package client_test

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// demanding is a peer that wants a certificate of clients and tells its common name.
func demanding(t *testing.T, ca, clients *tlstest.CA, version uint16) (address string) {
	config := serverConfig(ca)
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, clients.Pool()
	config.MinVersion, config.MaxVersion = version, version
	return tlstest.Serve(t, config, func(conn *tls.Conn) {
		_, _ = io.WriteString(conn, conn.ConnectionState().PeerCertificates[0].Subject.CommonName)
		tlstest.CloseNotify(conn)
	})
}

var tlsVersions = map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13}

func TestServiceShowsIdentities(t *testing.T) {
	t.Parallel()
	ca, clients := tlstest.NewCA(t), tlstest.NewCA(t)
	d := dialer(t, ca)
	for versionName, version := range tlsVersions {
		address := demanding(t, ca, clients, version)
		for keyName, option := range map[string]tlstest.Option{
			"RSA": tlstest.RSA(2048), "P-256": tlstest.CommonName("P-256"), "Ed25519": tlstest.Ed25519(),
		} {
			leaf := clients.Intermediate().Leaf(option, tlstest.CommonName(keyName), tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth))
			for how, identity := range map[string]func(tls.Certificate) (*client.Identity, error){
				"held": client.CallerHeldIdentity, "uploaded": client.UploadedIdentity,
			} {
				t.Run(versionName+" "+keyName+" "+how, func(t *testing.T) {
					t.Parallel()
					mine, err := identity(leaf.Certificate())
					require.NoError(t, err)
					showing := *d
					showing.Identities = []*client.Identity{mine}
					conn, err := showing.Dial(t.Context(), "tcp", address)
					require.NoError(t, err)
					name, err := io.ReadAll(conn)
					require.NoError(t, err)
					require.Equal(t, keyName, string(name))
					require.NoError(t, conn.Close())
				})
			}
		}
	}
}

// TestServiceChoosesTheIdentity: the first that fits the peer's wish is shown, and only its key is asked.
func TestServiceChoosesTheIdentity(t *testing.T) {
	t.Parallel()
	ca, clients, others := tlstest.NewCA(t), tlstest.NewCA(t), tlstest.NewCA(t, tlstest.CommonName("another CA"))
	d := dialer(t, ca)
	unwanted := others.Leaf(tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)).Certificate()
	unwanted.PrivateKey = faultySigner{unwanted.PrivateKey.(crypto.Signer), func() ([]byte, error) {
		t.Error("the wrong key was asked")
		return nil, errors.New("wrong")
	}}
	wanted := clients.Leaf(tlstest.CommonName("wanted"), tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)).Certificate()
	for _, cert := range []tls.Certificate{unwanted, wanted} {
		identity, err := client.CallerHeldIdentity(cert)
		require.NoError(t, err)
		d.Identities = append(d.Identities, identity)
	}
	for _, version := range tlsVersions {
		conn, err := d.Dial(t.Context(), "tcp", demanding(t, ca, clients, version))
		require.NoError(t, err)
		name, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Equal(t, "wanted", string(name))
		require.NoError(t, conn.Close())
	}
}

// TestServiceWantsGoodSignatures: a key that does not sign, or signs something else, fails the dial on this side.
func TestServiceWantsGoodSignatures(t *testing.T) {
	t.Parallel()
	ca, clients := tlstest.NewCA(t), tlstest.NewCA(t)
	d := dialer(t, ca)
	locked := errors.New("locked")
	for versionName, version := range tlsVersions {
		address := demanding(t, ca, clients, version)
		for how, sign := range map[string]func() ([]byte, error){
			"error": func() ([]byte, error) { return nil, locked },
			"panic": func() ([]byte, error) { panic(locked) },
			"wrong": func() ([]byte, error) { return []byte("no signature"), nil },
		} {
			t.Run(versionName+" "+how, func(t *testing.T) {
				t.Parallel()
				cert := clients.Leaf(tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)).Certificate()
				cert.PrivateKey = faultySigner{cert.PrivateKey.(crypto.Signer), sign}
				identity, err := client.CallerHeldIdentity(cert)
				require.NoError(t, err)
				showing := *d
				showing.Identities = []*client.Identity{identity}
				_, err = showing.Dial(t.Context(), "tcp", address)
				e := requireError(t, err, pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED)
				require.Equal(t, "caller", e.Side())
				require.Equal(t, how != "wrong", errors.Is(err, locked))
			})
		}
	}
}
