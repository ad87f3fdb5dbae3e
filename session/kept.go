package session

import (
	"errors"
	"sync"

	"securesocket/session/durable"
)

// maxKnown bounds what is in memory of what is kept.
const maxKnown = 10_000

// kept is what is kept over restarts, by key, and known in memory once it was
// asked for: reading waits for the disk the first time alone.
type kept[T any] struct {
	store  durable.Store
	bucket string
	decode func([]byte) (T, error)
	encode func(T) ([]byte, error) // nil bytes: nothing is to be kept

	update sync.Mutex // one change, or first reading, at a time; taken before mu

	mu    sync.RWMutex
	known map[string]T
}

func (k *kept[T]) get(key string) (T, error) {
	k.mu.RLock()
	v, ok := k.known[key]
	k.mu.RUnlock()
	if ok {
		return v, nil
	}
	k.update.Lock()
	defer k.update.Unlock()
	return k.read(key)
}

// read is get while update is held.
func (k *kept[T]) read(key string) (v T, err error) {
	k.mu.RLock()
	v, ok := k.known[key]
	k.mu.RUnlock()
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
	k.remember(key, v)
	return v, nil
}

func (k *kept[T]) remember(key string, v T) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil {
		k.known = make(map[string]T)
	}
	for other := range k.known {
		if len(k.known) < maxKnown {
			break
		}
		delete(k.known, other) // any: it is on disk
	}
	k.known[key] = v
}

// change replaces a value by what f makes of it. It is in effect when it is kept.
func (k *kept[T]) change(key string, f func(T) (T, error)) error {
	k.update.Lock()
	defer k.update.Unlock()
	v, err := k.read(key)
	if err != nil {
		return err
	}
	if v, err = f(v); err != nil {
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
	if err == nil {
		k.remember(key, v)
	}
	return err
}
