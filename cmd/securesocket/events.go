package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"securesocket/client"
	"securesocket/cmd/securesocket/internal/terminal"
	"securesocket/cmd/securesocket/internal/wording"
	pb "securesocket/gen/securesocket/v1"
)

// tellEvents writes a line for every event, with the time since now. The function fits client.Dialer.OnEvent.
func tellEvents(w io.Writer, began time.Time) func(client.Event) {
	return func(e client.Event) {
		var out terminal.Text
		at := time.Since(began)
		for line := range strings.Lines(string(e.GetSecureConnected().GetGreeting())) {
			// Said before TLS, and so by the peer or anybody on the way to it.
			out.Line("%11s  %-18s %s", wording.Milliseconds(at), "greeting", strings.TrimRight(line, "\r\n"))
		}
		out.Line("%s", eventLine(at, e))
		_, _ = w.Write(out.Bytes()) // events are a courtesy
	}
}

// tellResumed tells, on a line of its own, that the way to the service is there again.
func tellResumed(w io.Writer, began time.Time) func(client.Resumed) {
	return func(r client.Resumed) {
		var out terminal.Text
		out.Line("%11s  %-18s the way to the service was broken for %s: %v",
			wording.Milliseconds(time.Since(began)), "resumed", wording.Milliseconds(r.Away), r.Err)
		_, _ = w.Write(out.Bytes())
	}
}

func eventLine(at time.Duration, e client.Event) string {
	return strings.TrimRight(fmt.Sprintf("%11s  %-18s %s", wording.Milliseconds(at), e.Name(), eventDetail(e)), " ")
}

// eventDetail is what there is to say about an event beyond its name.
func eventDetail(e client.Event) string {
	switch kind := e.GetKind().(type) {
	case *pb.Event_StateChanged:
		return wording.State(kind.StateChanged.GetOldState()) + " -> " + wording.State(kind.StateChanged.GetNewState())
	case *pb.Event_HostFound:
		return strings.Join(kind.HostFound.GetAddresses(), ", ")
	case *pb.Event_TcpConnected:
		return wording.Endpoint(kind.TcpConnected.GetLocal()) + " -> " + wording.Endpoint(kind.TcpConnected.GetRemote())
	case *pb.Event_SecureConnected:
		tls := kind.SecureConnected.GetTls()
		detail := wording.Version(tls.GetVersion()) + " " + tls.GetCipherSuite() + " " + tls.GetGroup()
		if alpn := tls.GetAlpnProtocol(); alpn != "" {
			detail += " " + alpn
		}
		if tls.GetResumed() {
			detail += ", resumed"
		}
		if tls.GetClientCertificateRequested() {
			detail += ", client certificate " + wording.ClientCertificate(tls)
		}
		if kind.SecureConnected.GetPeerCertificate() == nil { // of a client that need not show one
			return detail + ", no certificate"
		}
		return detail + ", certificate " + wording.Status(kind.SecureConnected.GetStatus())
	case *pb.Event_ModeChanged:
		return wording.Word(kind.ModeChanged.GetMode().String(), "MODE_")
	case *pb.Event_CertificateError:
		return wording.Status(kind.CertificateError.GetReport().GetStatus())
	case *pb.Event_SecurityError:
		return kind.SecurityError.GetRuleId()
	case *pb.Event_IoError:
		failure := kind.IoError.GetFailure()
		return wording.Word(kind.IoError.GetPhase().String(), "PHASE_") + ": " + wording.Reason(failure.GetReason()) + ": " + failure.GetMessage()
	case *pb.Event_RemoteClosed:
		return fmt.Sprintf("%s after %d bytes", wording.Cause(kind.RemoteClosed.GetCause()), kind.RemoteClosed.GetFinalOffset())
	case *pb.Event_Closed:
		return fmt.Sprintf("%s, received %d, sent %d bytes", wording.Cause(kind.Closed.GetCause()),
			kind.Closed.GetReceivedBytes(), kind.Closed.GetSentBytes())
	case *pb.Event_EventsDropped:
		return fmt.Sprintf("%d events are no longer kept", kind.EventsDropped.GetCount())
	case *pb.Event_Draining:
		return "until " + kind.Draining.GetDeadlineTime().AsTime().Format(time.RFC3339)
	}
	return ""
}
