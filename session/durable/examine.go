package durable

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
)

// The form of bbolt's file, as far as it has to be known to tell whether bbolt can work on it. bbolt itself trusts its
// pages: a damaged one makes it panic, read beyond the file, or reserve any amount of memory. Numbers are in the
// machine's byte order.
const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	pageHeaderBytes = 16 // id uint64, flags uint16, count uint16, overflow uint32
	elementBytes    = 16 // of a leaf: flags, pos, ksize, vsize, all uint32; of a branch: pos, ksize uint32, page uint64
	metaBytes       = 64 // magic, version, page size, flags uint32; root, sequence, freelist, pages, txid, checksum uint64
	bucketBytes     = 16 // root, sequence uint64, and the bucket's page behind them if root is 0

	pageBranch   = 0x01
	pageLeaf     = 0x02
	pageMeta     = 0x04
	pageFreelist = 0x10
	leafBucket   = 0x01 // flag of a leaf's element

	minPageBytes, maxPageBytes = 1 << 10, 16 << 20

	maxDepth = 32
)

var order = binary.NativeEndian

// examiner walks a file that may hold anything. It reads every page once.
type examiner struct {
	file     io.ReaderAt
	pageSize uint64
	pages    uint64 // of the file that are in use or free
	known    []bool // page by number: reached, or free
}

// examine tells whether the file is one that Bolt has written, whole: every page is there, is reached once or is free, is
// well-formed, and every value has its checksum.
func examine(file io.ReaderAt, size int64) error {
	m, err := newestMeta(file, size)
	if err != nil {
		return err
	}
	pageSize := m.pageSize
	if m.pages < 4 || m.pages > math.MaxInt64/pageSize || int64(m.pages*pageSize) > size {
		return fmt.Errorf("it has %d bytes, and its header speaks of %d pages of %d: it has been cut", size, m.pages, pageSize)
	}
	e := &examiner{file: file, pageSize: pageSize, pages: m.pages, known: make([]bool, m.pages)}
	e.known[0], e.known[1] = true, true
	if err := e.root(m.root); err != nil {
		return err
	}
	if err := e.freelist(m.freelist); err != nil {
		return err
	}
	for id, known := range e.known {
		if !known {
			return fmt.Errorf("page %d is neither in use nor free", id)
		}
	}
	return nil
}

type meta struct{ pageSize, root, freelist, pages, txid uint64 }

var errHeader = errors.New("it has no valid header")

// newestMeta reads the two headers, which are the first two pages. One of them may be bad: it was being written as the
// machine stopped.
func newestMeta(file io.ReaderAt, size int64) (meta, error) {
	first, ok, err := readMeta(file, 0)
	if err != nil {
		return meta{}, err
	}
	if ok {
		second, ok, err := readMeta(file, first.pageSize)
		if err == nil && ok && second.txid > first.txid {
			return second, nil
		}
		return first, err
	}
	// The size of a page is not known: the second is sought where it could be.
	for at := uint64(minPageBytes); at <= maxPageBytes && at < uint64(size); at <<= 1 {
		if second, ok, err := readMeta(file, at); ok || err != nil {
			return second, err
		}
	}
	return meta{}, errHeader
}

// readMeta reads the header at an offset. ok tells whether bbolt would take it for one; one that it would take and that
// makes no sense there is an error.
func readMeta(file io.ReaderAt, at uint64) (m meta, ok bool, err error) {
	page := make([]byte, pageHeaderBytes+metaBytes)
	if _, err := file.ReadAt(page, int64(at)); errors.Is(err, io.EOF) {
		return m, false, nil
	} else if err != nil {
		return m, false, err
	}
	b := page[pageHeaderBytes:]
	h := fnv.New64a()
	h.Write(b[:metaBytes-8])
	if order.Uint32(b) != boltMagic || order.Uint32(b[4:]) != boltVersion || order.Uint64(b[metaBytes-8:]) != h.Sum64() {
		return m, false, nil
	}
	m = meta{pageSize: uint64(order.Uint32(b[8:])), root: order.Uint64(b[16:]), freelist: order.Uint64(b[32:]),
		pages: order.Uint64(b[40:]), txid: order.Uint64(b[48:])}
	n := m.pageSize
	if n < minPageBytes || n > maxPageBytes || n&(n-1) != 0 || at != 0 && at != n ||
		order.Uint64(page) != at/n || order.Uint16(page[8:]) != pageMeta {
		return m, false, errHeader
	}
	return m, true, nil
}

// run reads a page with those that continue it, and marks them as known.
func (e *examiner) run(id uint64) (b []byte, err error) {
	if id < 2 || id >= e.pages {
		return nil, fmt.Errorf("page %d is used, and there are %d", id, e.pages)
	}
	header := make([]byte, pageHeaderBytes)
	if _, err := e.file.ReadAt(header, int64(id*e.pageSize)); err != nil {
		return nil, err
	}
	more := uint64(order.Uint32(header[12:]))
	if order.Uint64(header) != id || more >= e.pages-id {
		return nil, fmt.Errorf("page %d is another, or runs beyond the end", id)
	}
	for i := id; i <= id+more; i++ {
		if e.known[i] {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		e.known[i] = true
	}
	b = make([]byte, (more+1)*e.pageSize)
	_, err = e.file.ReadAt(b, int64(id*e.pageSize))
	return b, err
}

// element is one of a page's: of a branch with the page it leads to, of a leaf with a value.
type element struct {
	key, value []byte
	bucket     bool   // the value is a bucket
	child      uint64 // page
}

// elements takes a branch or leaf page apart. bbolt writes keys and values without a gap behind the elements, so that a
// wrong count shows. Keys are in order.
func elements(page []byte) (list []element, leaf bool, err error) {
	if len(page) < pageHeaderBytes {
		return nil, false, errors.New("a page is cut short")
	}
	flags, count := order.Uint16(page[8:]), uint64(order.Uint16(page[10:]))
	leaf = flags == pageLeaf
	if !leaf && flags != pageBranch || !leaf && count == 0 {
		return nil, false, errors.New("a page is neither branch nor leaf")
	}
	at := pageHeaderBytes + count*elementBytes
	if at > uint64(len(page)) {
		return nil, false, errors.New("a page has too many elements")
	}
	for i := range count {
		start := pageHeaderBytes + i*elementBytes
		head := page[start : start+elementBytes]
		var pos, ksize, vsize uint64
		var el element
		if leaf {
			kind := order.Uint32(head)
			pos, ksize, vsize = uint64(order.Uint32(head[4:])), uint64(order.Uint32(head[8:])), uint64(order.Uint32(head[12:]))
			el.bucket = kind == leafBucket
			if kind > leafBucket {
				return nil, false, errors.New("a page has an element of no known kind")
			}
		} else {
			pos, ksize, el.child = uint64(order.Uint32(head)), uint64(order.Uint32(head[4:])), order.Uint64(head[8:])
		}
		if start+pos != at || ksize == 0 || at+ksize+vsize > uint64(len(page)) {
			return nil, false, errors.New("an element of a page is not where it has to be")
		}
		el.key, el.value = page[at:at+ksize], page[at+ksize:at+ksize+vsize]
		at += ksize + vsize
		if i > 0 && bytes.Compare(list[i-1].key, el.key) >= 0 {
			return nil, false, errors.New("the keys of a page are not in order")
		}
		list = append(list, el)
	}
	return list, leaf, nil
}

// tree visits the leaf elements below a page, whose keys lie from low to before high; nil is no bound.
func (e *examiner) tree(id uint64, low, high []byte, depth int, visit func(element) error) error {
	if depth > maxDepth {
		return errors.New("its pages are nested too deep")
	}
	page, err := e.run(id)
	if err != nil {
		return err
	}
	list, leaf, err := elements(page)
	switch {
	case err != nil:
		return fmt.Errorf("page %d: %w", id, err)
	case len(list) == 0 && depth > 0:
		return fmt.Errorf("page %d is empty", id)
	case len(list) > 0 && (low != nil && bytes.Compare(list[0].key, low) < 0 ||
		high != nil && bytes.Compare(list[len(list)-1].key, high) >= 0):
		return fmt.Errorf("page %d has keys that belong elsewhere", id)
	}
	for i, el := range list {
		if leaf {
			err = visit(el)
		} else {
			next := high
			if i+1 < len(list) {
				next = list[i+1].key
			}
			err = e.tree(el.child, el.key, next, depth+1, visit)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// root visits all buckets. Nothing else is at the top, and no bucket is in another.
func (e *examiner) root(id uint64) error {
	return e.tree(id, nil, nil, 0, func(el element) error {
		if !el.bucket || len(el.value) < bucketBytes || checkBucket(string(el.key)) != nil {
			return errors.New("it holds something that this program does not write")
		}
		bucket := string(el.key)
		visit := func(el element) error {
			if el.bucket || checkEntry(bucket, string(el.key), nil) != nil {
				return errors.New("it holds something that this program does not write")
			}
			if _, ok := unseal(bucket, string(el.key), el.value); !ok {
				return errChecksum
			}
			return nil
		}
		if child := order.Uint64(el.value); child != 0 {
			return e.tree(child, nil, nil, 0, visit)
		}
		list, leaf, err := elements(el.value[bucketBytes:]) // a small bucket is kept in place
		if err == nil && !leaf {
			err = errors.New("a bucket is no leaf")
		}
		for _, el := range list {
			if err == nil {
				err = visit(el)
			}
		}
		return err
	})
}

// freelist marks the pages that are free: sorted, each once, and none in use, or the next Put would overwrite a value.
func (e *examiner) freelist(id uint64) error {
	page, err := e.run(id)
	if err != nil {
		return err
	}
	if order.Uint16(page[8:]) != pageFreelist {
		return fmt.Errorf("page %d is not the list of free pages", id)
	}
	count, ids := uint64(order.Uint16(page[10:])), page[pageHeaderBytes:]
	if count == math.MaxUint16 { // too many for the field
		count, ids = order.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids))/8 {
		return errors.New("the list of free pages is cut short")
	}
	last := uint64(1)
	for i := range count {
		free := order.Uint64(ids[8*i:])
		if free <= last || free >= e.pages || e.known[free] {
			return fmt.Errorf("the list of free pages names page %d", free)
		}
		e.known[free], last = true, free
	}
	return nil
}
