package revocation

import "container/heap"

// ranking knows the first of things whose order changes, and finds it again in a number of steps that grows with the
// logarithm of how many they are. Its zero value is empty.
type ranking[T ranked[T]] struct{ heap rankedHeap[T] }

// ranked is what is told its place in a ranking, by which it is removed or moved.
type ranked[T any] interface {
	before(T) bool
	at(rank int)
}

func (r *ranking[T]) first() T { return r.heap.of[0] }

func (r *ranking[T]) add(x T) { heap.Push(&r.heap, x) }

func (r *ranking[T]) remove(rank int) { heap.Remove(&r.heap, rank) }

// moved puts what has changed where it belongs.
func (r *ranking[T]) moved(rank int) { heap.Fix(&r.heap, rank) }

// rankedHeap implements heap.Interface.
type rankedHeap[T ranked[T]] struct {
	of    []T
	steps int // comparisons, ever: what a ranking costs
}

func (h *rankedHeap[T]) Len() int { return len(h.of) }

func (h *rankedHeap[T]) Less(i, j int) bool {
	h.steps++
	return h.of[i].before(h.of[j])
}

func (h *rankedHeap[T]) Swap(i, j int) {
	h.of[i], h.of[j] = h.of[j], h.of[i]
	h.of[i].at(i)
	h.of[j].at(j)
}

func (h *rankedHeap[T]) Push(x any) {
	v := x.(T)
	v.at(len(h.of))
	h.of = append(h.of, v)
}

func (h *rankedHeap[T]) Pop() any {
	var none T
	last := len(h.of) - 1
	v := h.of[last]
	h.of[last] = none
	h.of = h.of[:last]
	return v
}
