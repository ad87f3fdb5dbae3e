package quota

const (
	// keptShare of what all owners may hold together is for those who hold little.
	keptShare = 16
	// littleShare of it is what one of them may hold of that: there are 64 such parts.
	littleShare = 1024
)

// Room is how much all may hold together for an owner to have one thing more, or many,
// who then holds own. The last part of the total is for who holds little, so that those
// who take all that they may do not keep out who comes after them. Nothing is kept of what
// one owner may hold, for he may where he is alone, nor of a total below 16.
func Room[N int | int64](own, perOwner, total N) N {
	if own <= max(total/littleShare, 1) {
		return total
	}
	return max(total-total/keptShare, min(perOwner, total))
}
