package quota

const (
	// keptShare of what all owners may hold together is for those who hold little.
	keptShare = 16
	// littleShare of it is what one of them may hold of that: there are 64 such parts.
	littleShare = 1024
	// leastShared is the least total of which something is kept, one at least.
	leastShared = 4
)

// Room is how much all may hold together for an owner to have one thing more, or many,
// who then holds own. The last part of the total, of few things one, is for who holds
// little, so that those who take all that they may do not keep out who comes after them.
// Nothing is kept from who is alone: there is room for what he holds himself.
func Room[N int | int64](own, total N) N {
	if own <= max(total/littleShare, 1) || total < leastShared {
		return total
	}
	return max(total-max(total/keptShare, 1), min(own, total))
}
