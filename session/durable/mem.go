package durable

import (
	"bytes"
	"maps"
	"slices"
	"sync"
)

// Mem is a Store that ends with the process.
type Mem struct {
	mu      sync.RWMutex
	closed  bool
	buckets map[string]map[string][]byte
}

// Memory returns an empty Mem.
func Memory() *Mem { return &Mem{buckets: make(map[string]map[string][]byte)} }

// Get implements Store.
func (m *Mem) Get(bucket, key string) ([]byte, error) {
	if err := checkEntry(bucket, key, nil); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil, ErrClosed
	}
	value, ok := m.buckets[bucket][key]
	if !ok {
		return nil, ErrNotFound
	}
	return bytes.Clone(value), nil
}

// Put implements Store.
func (m *Mem) Put(bucket, key string, value []byte) error {
	if err := checkEntry(bucket, key, value); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	if m.buckets[bucket] == nil {
		m.buckets[bucket] = make(map[string][]byte)
	}
	m.buckets[bucket][key] = append([]byte{}, value...)
	return nil
}

// Delete implements Store.
func (m *Mem) Delete(bucket, key string) error {
	if err := checkEntry(bucket, key, nil); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	delete(m.buckets[bucket], key)
	return nil
}

// Keys implements Store.
func (m *Mem) Keys(bucket string) ([]string, error) {
	if err := checkBucket(bucket); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil, ErrClosed
	}
	return slices.Sorted(maps.Keys(m.buckets[bucket])), nil
}

// Close implements Store. What was kept is gone.
func (m *Mem) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.buckets = true, nil
	return nil
}
