package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// hangUpWait is how long a peer and the service have for the end of a session.
const hangUpWait = 2 * time.Second

func (p *program) statusCommand() *cobra.Command {
	var flags tlsFlags
	var startTLS startTLSFlag
	var output outputFlag
	cmd := &cobra.Command{
		Use:   "status HOST:PORT",
		Short: "Connect, tell the verdict about the peer, and hang up",
		Long: `status connects to the peer at HOST:PORT, prints the verdict about its certificate, every problem with what
would mend it, the chain, what was negotiated and where the time went, and hangs up. It resumes no TLS session: it
tells what the peer shows now.

-o json prints one object: {"session": Session, "report": CertificateReport, "failure": Failure}, each the protobuf
message of the contract, absent where there is none. It is printed whether the peer is trusted or not.`,
		Args: onePeer,
	}
	flags.register(cmd)
	startTLS.register(cmd.Flags())
	output.register(cmd)
	cmd.RunE = p.withService(func(cmd *cobra.Command, args []string, c *client.Client) error {
		asJSON, err := output.json()
		if err != nil {
			return err
		}
		t, err := parseTarget(args[0])
		if err != nil {
			return err
		}
		if err := startTLS.check(cmd.Flags()); err != nil {
			return err
		}
		p.startTLS = startTLS.protocol != ""
		settings, anchors, err := flags.settings(cmd)
		if err != nil {
			return err
		}
		settings.Tls.Resumption = new(false) // what the peer shows now, not what it once showed
		found := inspect(cmd.Context(), c.Service(), t, startTLS.protocol, settings, anchors)
		var content []byte
		if asJSON {
			if content, err = found.json(); err != nil {
				return err
			}
		} else if found.session.GetGeneration() > 0 { // otherwise there is nothing to tell but the error
			content = found.text(t)
		}
		err = p.print(content)
		if found.err != nil {
			return found.err // says more than a stdout that has gone away
		}
		return err
	})
	return cmd
}

// inspection is what one connect has shown.
type inspection struct {
	session *pb.Session           // nil: none could be made
	report  *pb.CertificateReport // nil: there was no verdict
	err     error                 // why there is no connection; nil: there was one
}

// inspect connects by the unary calls, which keep session and report when the connect fails, and leaves nothing behind
// in the service.
func inspect(ctx context.Context, service pb.SecureSocketServiceClient, t target, startTLS string, settings *pb.SessionSettings, anchors [][]byte) (found inspection) {
	created, err := service.CreateSession(ctx, &pb.CreateSessionRequest{Settings: settings})
	if err != nil {
		return inspection{err: client.FromError(err)}
	}
	found.session = created.GetSession()
	id := found.session.GetSessionId()
	defer hangUp(ctx, service, id)
	for _, anchor := range anchors {
		if _, err := service.AddCertificate(ctx, &pb.AddCertificateRequest{SessionId: id, Certificate: anchor, Trusted: true}); err != nil {
			found.err = client.FromError(err)
			return found
		}
	}
	connect := &pb.ConnectRequest{SessionId: id, Host: t.host, Port: t.port, StartTlsProtocol: startTLS}
	if _, err := service.Connect(ctx, connect); err != nil {
		found.err = client.FromError(err)
	}
	if now, err := service.GetSession(ctx, &pb.GetSessionRequest{SessionId: id}); err == nil {
		found.session = now.GetSession()
	} else if found.err == nil {
		found.err = client.FromError(err)
	}
	if verdict, err := service.GetCertificateStatus(ctx, &pb.GetCertificateStatusRequest{SessionId: id}); err == nil {
		found.report = verdict.GetReport()
	} else if found.err == nil {
		found.err = client.FromError(err)
	}
	if e, ok := errors.AsType[*client.Error](found.err); ok {
		e.Report = found.report // as a refused dial has it
	}
	return found
}

// hangUp closes the connection, if there is one, and deletes the session, even if ctx is done. Nobody is told if that
// fails: the service forgets the session by itself.
func hangUp(ctx context.Context, service pb.SecureSocketServiceClient, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hangUpWait)
	defer cancel()
	_, _ = service.Close(ctx, &pb.CloseRequest{SessionId: id}) // with close_notify, as peers like it
	_, _ = service.DeleteSession(ctx, &pb.DeleteSessionRequest{SessionId: id})
}

// json is the object that Long describes.
func (i *inspection) json() ([]byte, error) {
	var object struct {
		Session json.RawMessage `json:"session,omitempty"`
		Report  json.RawMessage `json:"report,omitempty"`
		Failure json.RawMessage `json:"failure,omitempty"`
	}
	var err error
	if i.session != nil {
		object.Session, err = protojson.Marshal(i.session)
	}
	if i.report != nil && err == nil {
		object.Report, err = protojson.Marshal(i.report)
	}
	if failure := failureOf(i.err); failure != nil && err == nil {
		object.Failure, err = protojson.Marshal(failure)
	}
	if err != nil {
		return nil, err
	}
	content, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	return indentJSON(content)
}
