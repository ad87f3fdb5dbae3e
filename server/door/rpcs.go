package door

import "context"

// Begin says that an RPC begins, before it costs anything, or returns a
// *LimitError: the connection's owner has too many. It ends when ctx does. A nil
// Ticket has room for all.
func (t *Ticket) Begin(ctx context.Context) error {
	if t == nil {
		return nil
	}
	t.rpcsMu.Lock()
	defer t.rpcsMu.Unlock()
	mine := LimitRPCs
	if t.pays != &t.door.strangers {
		mine = LimitRPCsPerCaller
	}
	if err := t.pays.begin(mine, LimitRPCs); err != nil {
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
