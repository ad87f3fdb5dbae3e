package server_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
)

// An RPC that nobody thought about here is one of which nobody knows who may call it.
func TestEveryRPCHasARow(t *testing.T) {
	t.Parallel()
	have, want := slices.Sorted(maps.Keys(matrix)), slices.Sorted(maps.Keys(methods()))
	require.NotEmpty(t, want)
	require.Equal(t, want, have)
	for name, m := range methods() {
		fields := m.Input().Fields()
		require.Equal(t, fields.ByName("listener_id") != nil, matrix[name].names == aListener, name)
		if fields.ByName("session_id") != nil {
			require.Equal(t, aSession, matrix[name].names, name)
		}
	}
}

// The owner reaches what is his with each RPC: so the others' refusals are not the request's fault.
func TestOwnersReachWhatIsTheirs(t *testing.T) {
	t.Parallel()
	w := newAccessWorld(t)
	for name, m := range methods() {
		row := matrix[name]
		o := w.own()
		if m.Name() == "Accept" {
			w.visits(o)
		}
		a := w.call(w.as(theOwner), name, m, row.request(o, o.id(row.names)))
		if row.refused != "" {
			require.Equal(t, row.refused, a.reason(), "%s: %v", name, a.err)
			continue
		}
		require.NoError(t, a.err, name)
		if row.destroys { // the next one finds it as it should be
			_, _ = w.c.DeleteSession(w.as(theOwner), &pb.DeleteSessionRequest{SessionId: o.session.id})
		}
	}
}

// TestThreat02ForeignIDs: whatever a neighbour names of what is another's, on any RPC, he is told byte for byte what he is
// told of an ID that nobody has, and the owner's stream goes on.
func TestThreat02ForeignIDs(t *testing.T) {
	t.Parallel()
	w := newAccessWorld(t)
	o := w.own()
	k := attach(w.as(theOwner), t, w.c, o.session, 1)
	k.until(func() bool { return len(k.data) == len(w.secret.payload) })
	before := getSession(w.as(theOwner), t, w.c, o.session)
	listener, err := w.lc.GetListener(w.as(theOwner), &pb.GetListenerRequest{ListenerId: o.listener})
	require.NoError(t, err)
	for name, m := range methods() {
		row := matrix[name]
		for _, who := range []string{theNeighbour, theAdministrator} {
			switch {
			case row.names == nothing:
				a := w.call(w.as(who), name, m, row.request(o, ""))
				require.NoError(t, a.err, name)
				require.Empty(t, o.marks.find(a.text(t)), "%s as %s tells of what is another's", name, who)
				require.Empty(t, o.secrets.find(withoutOwn(t, a)), "%s as %s tells secrets", name, who)
				continue
			case row.administers && who == theAdministrator:
				continue // TestAdministratorsSeeNoSecret has them
			}
			unknown := w.call(w.as(who), name, m, row.request(o, unknownID()))
			require.Contains(t, []string{"SESSION_NOT_FOUND", "LISTENER_NOT_FOUND"}, unknown.reason(), "%s: %v", name, unknown.err)
			for what, id := range map[string]string{
				"foreign": o.id(row.names), "foreign, in capitals": strings.ToUpper(o.id(row.names)), "foreign, with a space": o.id(row.names) + " ",
				"of another kind": o.id(aSession + aListener - row.names), "not an ID": "\x00../*", "long": strings.Repeat("a", 10_000),
			} {
				w.sameAnswer(unknown, w.call(w.as(who), name, m, row.request(o, id)), name+" as "+who+": "+what)
			}
		}
	}
	requireSame(t, before, getSession(w.as(theOwner), t, w.c, o.session), "the owner's session")
	after, err := w.lc.GetListener(w.as(theOwner), &pb.GetListenerRequest{ListenerId: o.listener})
	require.NoError(t, err)
	requireSame(t, listener, after, "the owner's listener")
	defaults, err := w.tc.GetDefaults(w.as(theOwner), &pb.GetDefaultsRequest{})
	require.NoError(t, err)
	require.Empty(t, defaults.GetSettings().GetLabel(), "each has defaults of his own")
	k.write([]byte("still mine"))
	k.until(func() bool { return string(k.data) == w.secret.payload+"still mine" })
}

// withoutOwn is an answer without what a peer told the one who asked himself.
func withoutOwn(tb testing.TB, a answer) []byte {
	tb.Helper()
	if m, ok := a.reply.(*pb.ProbeResponse); ok {
		m.Greeting = nil
	}
	return a.text(tb)
}

// Who is not authenticated, and who may not call, is told nothing else by any RPC, whatever it names.
func TestStrangersAreToldNothing(t *testing.T) {
	t.Parallel()
	w := newAccessWorld(t)
	o := w.own()
	for who, reason := range map[string]string{servertest.Nobody: "UNAUTHENTICATED", theOutsider: "NOT_ALLOWED"} {
		first := w.call(w.as(who), pb.SecureSocketService_GetCapabilities_FullMethodName, methods()[pb.SecureSocketService_GetCapabilities_FullMethodName], &pb.GetCapabilitiesRequest{})
		require.Equal(t, reason, reasonOf(t, first.err))
		for name, m := range methods() {
			row := matrix[name]
			for _, id := range []string{o.id(row.names), unknownID(), ""} {
				w.sameAnswer(first, w.call(w.as(who), name, m, row.request(o, id)), name+" as "+who)
			}
		}
	}
	require.Equal(t, pb.State_STATE_ENCRYPTED, getSession(w.as(theOwner), t, w.c, o.session).GetState())
}

// Administrators do what their rows say to what is another's, and are shown none of its secrets.
func TestAdministratorsSeeNoSecret(t *testing.T) {
	t.Parallel()
	w := newAccessWorld(t)
	for name, m := range methods() {
		row := matrix[name]
		if !row.administers {
			continue
		}
		o := w.own()
		a := w.call(w.as(theAdministrator), name, m, row.request(o, o.id(row.names)))
		require.NoError(t, a.err, name)
		require.Empty(t, o.secrets.find(a.text(t)), name)
		if !row.destroys {
			require.NotEmpty(t, o.marks.find(a.text(t)), "%s: it is the owner's", name)
		}
		require.Contains(t, w.logged(), "id="+o.id(row.names)+" owner="+theOwner, "%s is in the audit", name)
		again := w.call(w.as(theOwner), name, m, row.request(o, o.id(row.names)))
		if row.destroys {
			w.sameAnswer(w.call(w.as(theOwner), name, m, row.request(o, unknownID())), again, name+": it is gone")
			continue
		}
		require.NoError(t, again.err, name)
	}

	// The test of the test: the owner is shown what they are not, and the sieve finds it.
	o := w.own()
	resp, err := w.c.GetSession(w.as(theOwner), &pb.GetSessionRequest{SessionId: o.session.id})
	require.NoError(t, err)
	require.Equal(t, []string{"greeting"}, o.secrets.find(answer{reply: resp}.text(t)))
	k := attach(w.as(theOwner), t, w.c, o.session, 1)
	k.until(func() bool { return len(k.data) == len(w.secret.payload) })
	require.ElementsMatch(t, []string{"greeting", "token"}, o.secrets.find(answer{reply: k.attached}.text(t)))
	require.Equal(t, []string{"payload"}, o.secrets.find(k.data))
}
