package door

import (
	"context"

	"securesocket/session/quota"
)

// freeRPCs of each unclaimed connection begin in any case: with the first one it
// becomes known whose it is, and nobody who opens streams and says no more may keep
// others from that.
const freeRPCs = 4

// Begin says that an RPC begins, before it costs anything, or returns a
// *LimitError: the connection's owner has too many. It ends when ctx does. A nil
// Ticket has room for all.
func (t *Ticket) Begin(ctx context.Context) error {
	if t == nil || t.ending.Load() { // what ends with the connection costs nothing
		return nil
	}
	err := t.begin(ctx)
	if err != nil && t.linger(ctx) {
		return nil
	}
	return err
}

func (t *Ticket) begin(ctx context.Context) error {
	t.rpcsMu.Lock()
	defer t.rpcsMu.Unlock()
	mine, free := LimitRPCs, t.rpcs < freeRPCs
	if t.pays != &t.door.strangers {
		mine, free = LimitRPCsPerCaller, false
	} else if room := t.roomToClaim(); !free && t.door.rpcs.held.Load() >= room {
		return &LimitError{What: LimitRPCs, Limit: int(room)}
	}
	if err := t.pays.begin(1, mine, LimitRPCs, free); err != nil {
		return err
	}
	t.rpcs++
	context.AfterFunc(ctx, t.end)
	return nil
}

// roomToClaim is how many there may be of callers for whoever claims the connection to
// have one more that begins before that: otherwise one who opens many at once would have
// none.
func (t *Ticket) roomToClaim() int64 {
	all := t.door.rpcs.most
	return quota.Room(int64(t.rpcs)+1, all)
}

func (t *Ticket) end() {
	t.rpcsMu.Lock()
	defer t.rpcsMu.Unlock()
	t.rpcs--
	t.pays.rpcs.add(-1)
}

// moveRPCs has a caller pay for those that go on, or says what he has no room of: more
// than begin in any case have to fit into what he may have, and all of them into what all
// callers may, or who opens connections again and again would have the last part too.
func (t *Ticket) moveRPCs(to *owner) *LimitError {
	t.rpcsMu.Lock()
	defer t.rpcsMu.Unlock()
	if err := to.begin(t.rpcs, LimitRPCsPerCaller, LimitRPCs, t.rpcs <= freeRPCs); err != nil {
		return err
	}
	t.pays.rpcs.add(-t.rpcs)
	t.pays = to
	return nil
}
