package server

import (
	"errors"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/egress"
	"securesocket/session"
)

func toEvent(e *session.Event) *pb.Event {
	m := &pb.Event{
		Seq:              e.Seq,
		Generation:       e.Generation,
		SocketDataOffset: e.Offset,
		EventTime:        timestamppb.New(e.Time),
	}
	switch k := e.Kind.(type) {
	case session.StateChanged:
		m.Kind = &pb.Event_StateChanged{StateChanged: &pb.StateChanged{OldState: pb.State(k.Old), NewState: pb.State(k.New)}}
	case session.HostFound:
		found := &pb.HostFound{}
		for _, a := range k.Addrs {
			found.Addresses = append(found.Addresses, a.String())
		}
		m.Kind = &pb.Event_HostFound{HostFound: found}
	case session.TCPConnected:
		m.Kind = &pb.Event_TcpConnected{TcpConnected: &pb.TcpConnected{Local: toEndpoint(k.Local), Remote: toEndpoint(k.Remote)}}
	case session.SecureConnected:
		m.Kind = &pb.Event_SecureConnected{SecureConnected: &pb.SecureConnected{
			Tls:             toTLSState(k.TLS),
			Status:          pb.CertificateStatus(k.Report.Status),
			TrustBasis:      pb.CertificateReport_TrustBasis(k.Report.Basis),
			PeerCertificate: toLeaf(k.Report.PeerChain),
			Greeting:        k.Greeting,
		}}
	case session.ModeChanged:
		m.Kind = &pb.Event_ModeChanged{ModeChanged: &pb.ModeChanged{Mode: pb.Mode(k.Mode)}}
	case session.CertificateError:
		m.Kind = &pb.Event_CertificateError{CertificateError: &pb.CertificateError{Report: toReport(k.Report), Overridable: k.Overridable}}
	case session.SecurityError:
		se := &pb.SecurityError{Failure: toFailure(k.Err)}
		if de, ok := errors.AsType[*egress.DeniedError](error(k.Err)); ok {
			se.RuleId = de.Rule
		}
		m.Kind = &pb.Event_SecurityError{SecurityError: se}
	case session.IOError:
		m.Kind = &pb.Event_IoError{IoError: &pb.IoError{Failure: toFailure(k.Err), Phase: pb.Phase(k.Phase)}}
	case session.RemoteClosed:
		m.Kind = &pb.Event_RemoteClosed{RemoteClosed: &pb.RemoteClosed{Cause: pb.CloseCause(k.Cause), FinalOffset: k.Final}}
	case session.Closed:
		m.Kind = &pb.Event_Closed{Closed: &pb.Closed{
			Cause: pb.CloseCause(k.Cause), Failure: toFailure(k.Err),
			ReceivedBytes: k.Received, SentBytes: k.Sent,
			ReadCause: pb.CloseCause(k.ReadCause), WriteCause: pb.CloseCause(k.WriteCause),
		}}
	case session.EventsDropped:
		m.Kind = &pb.Event_EventsDropped{EventsDropped: &pb.EventsDropped{
			Count: k.Last - k.First + 1, FirstSeq: k.First, LastSeq: k.Last,
		}}
	case session.Draining:
		m.Kind = &pb.Event_Draining{Draining: &pb.Draining{DeadlineTime: timestamppb.New(k.Deadline)}}
	}
	return m
}
