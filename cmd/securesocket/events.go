package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// tellEvents writes a line for every event, with the time since now. The function fits client.Dialer.OnEvent.
func tellEvents(w io.Writer) func(client.Event) {
	began := time.Now()
	return func(e client.Event) {
		var out text
		out.line("%s", eventLine(time.Since(began), e))
		_, _ = w.Write(out.Bytes()) // events are a courtesy
	}
}

func eventLine(at time.Duration, e client.Event) string {
	return strings.TrimRight(fmt.Sprintf("%11s  %-18s %s", milliseconds(at), e.Name(), eventDetail(e)), " ")
}

// milliseconds is a duration with microseconds behind the point.
func milliseconds(d time.Duration) string { return fmt.Sprintf("%.3f ms", float64(d)/1e6) }

// eventDetail is what there is to say about an event beyond its name.
func eventDetail(e client.Event) string {
	switch kind := e.GetKind().(type) {
	case *pb.Event_StateChanged:
		return stateName(kind.StateChanged.GetOldState()) + " -> " + stateName(kind.StateChanged.GetNewState())
	case *pb.Event_HostFound:
		return strings.Join(kind.HostFound.GetAddresses(), ", ")
	case *pb.Event_TcpConnected:
		return endpoint(kind.TcpConnected.GetLocal()) + " -> " + endpoint(kind.TcpConnected.GetRemote())
	case *pb.Event_SecureConnected:
		tls := kind.SecureConnected.GetTls()
		detail := versionName(tls.GetVersion()) + " " + tls.GetCipherSuite() + " " + tls.GetGroup()
		if alpn := tls.GetAlpnProtocol(); alpn != "" {
			detail += " " + alpn
		}
		return detail + ", certificate " + statusName(kind.SecureConnected.GetStatus())
	case *pb.Event_ModeChanged:
		return word(kind.ModeChanged.GetMode().String(), "MODE_")
	case *pb.Event_CertificateError:
		return statusName(kind.CertificateError.GetReport().GetStatus())
	case *pb.Event_SecurityError:
		return kind.SecurityError.GetRuleId()
	case *pb.Event_IoError:
		failure := kind.IoError.GetFailure()
		return word(kind.IoError.GetPhase().String(), "PHASE_") + ": " + reasonName(failure.GetReason()) + ": " + failure.GetMessage()
	case *pb.Event_RemoteClosed:
		return fmt.Sprintf("%s after %d bytes", causeName(kind.RemoteClosed.GetCause()), kind.RemoteClosed.GetFinalOffset())
	case *pb.Event_Closed:
		return fmt.Sprintf("%s, received %d, sent %d bytes", causeName(kind.Closed.GetCause()),
			kind.Closed.GetReceivedBytes(), kind.Closed.GetSentBytes())
	case *pb.Event_EventsDropped:
		return fmt.Sprintf("%d events are no longer kept", kind.EventsDropped.GetCount())
	case *pb.Event_Draining:
		return "until " + kind.Draining.GetDeadlineTime().AsTime().Format(time.RFC3339)
	}
	return ""
}

func stateName(s pb.State) string { return word(s.String(), "STATE_") }

// statusName is the verdict as the contract has it: "EXPIRED".
func statusName(s pb.CertificateStatus) string {
	return strings.TrimPrefix(s.String(), "CERTIFICATE_STATUS_")
}

// causeName is a cause as the contract has it: "PEER_CLOSE_NOTIFY".
func causeName(c pb.CloseCause) string { return strings.TrimPrefix(c.String(), "CLOSE_CAUSE_") }

// endpoint is address:port.
func endpoint(e *pb.Endpoint) string { return target{e.GetAddress(), e.GetPort()}.String() }
