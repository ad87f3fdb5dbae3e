package door

import "context"

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
	}
	if err := t.pays.begin(mine, LimitRPCs, free); err != nil {
		return err
	}
	t.rpcs++
	context.AfterFunc(ctx, t.end)
	return nil
}

func (t *Ticket) end() {
	t.rpcsMu.Lock()
	defer t.rpcsMu.Unlock()
	t.rpcs--
	t.pays.rpcs.add(-1)
}

// moveRPCs has a caller pay for those that go on.
func (t *Ticket) moveRPCs(to *owner) {
	t.rpcsMu.Lock()
	defer t.rpcsMu.Unlock()
	t.pays.rpcs.add(-t.rpcs)
	t.pays = to
	t.pays.rpcs.add(t.rpcs)
}
