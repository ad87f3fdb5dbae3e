package session

import (
	"errors"
	"sync"

	"securesocket/session/durable"
)

// kept is what is kept over restarts, by key, and in memory once it was asked
// for: reading waits for the disk the first time alone. What one owner does holds
// up no other.
type kept[T any] struct {
	store  durable.Store
	bucket string
	decode func([]byte) (T, error)
	encode func(T) ([]byte, error) // nil bytes: nothing is to be kept
	// count lets one value of an owner's count in the place of another; nil: none counts. Its
	// error refuses a change; there is none where it is forced.
	count func(owner string, from, to T, forced bool) error

	mu     sync.Mutex
	values map[string]*keptValue[T]
}

type keptValue[T any] struct {
	change sync.Mutex // one change, or first reading, at a time; taken before mu

	mu     sync.Mutex
	v      T
	loaded bool
}

// errUnchanged ends a change that changes nothing: there is nothing to write.
var errUnchanged = errors.New("unchanged")

func (k *kept[T]) value(key string) *keptValue[T] {
	k.mu.Lock()
	defer k.mu.Unlock()
	v := k.values[key]
	if v == nil {
		if k.values == nil {
			k.values = make(map[string]*keptValue[T])
		}
		v = &keptValue[T]{}
		k.values[key] = v
	}
	return v
}

func (v *keptValue[T]) get() (T, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.v, v.loaded
}

func (v *keptValue[T]) set(to T) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.v, v.loaded = to, true
}

// get returns what is kept under a key, of nobody or of an owner, for whom it counts from
// then on, even where he has no room for it: it is there.
func (k *kept[T]) get(owner, key string) (T, error) {
	value := k.value(key)
	if v, ok := value.get(); ok {
		return v, nil
	}
	value.change.Lock()
	defer value.change.Unlock()
	return k.read(owner, key, value)
}

// read is get while the value's change is held.
func (k *kept[T]) read(owner, key string, value *keptValue[T]) (T, error) {
	v, ok := value.get()
	if ok {
		return v, nil
	}
	b, err := k.store.Get(k.bucket, key)
	if err == nil {
		v, err = k.decode(b)
	}
	if err != nil && !errors.Is(err, durable.ErrNotFound) {
		return v, err
	}
	var none T
	_ = k.counted(owner, none, v, true)
	value.set(v)
	return v, nil
}

func (k *kept[T]) counted(owner string, from, to T, forced bool) error {
	if k.count == nil || owner == nobody {
		return nil
	}
	return k.count(owner, from, to, forced)
}

// change replaces a value by what f makes of it, unless that is errUnchanged. It
// is in effect when it is kept.
func (k *kept[T]) change(owner, key string, f func(T) (T, error)) error {
	value := k.value(key)
	value.change.Lock()
	defer value.change.Unlock()
	before, err := k.read(owner, key, value)
	if err != nil {
		return err
	}
	v, err := f(before)
	if errors.Is(err, errUnchanged) {
		return nil
	} else if err != nil {
		return err
	}
	if err := k.counted(owner, before, v, false); err != nil {
		return err
	}
	b, err := k.encode(v)
	switch {
	case err != nil:
	case b == nil:
		err = k.store.Delete(k.bucket, key)
	default:
		err = k.store.Put(k.bucket, key, b)
	}
	if err != nil {
		_ = k.counted(owner, v, before, true)
		return err
	}
	value.set(v)
	return nil
}
