package server

import (
	"encoding/base64"

	"google.golang.org/protobuf/proto"

	"securesocket/session"
)

// listPage fills a page with what list returns after the place that the request's
// token names. Beyond maxPageBytes a page ends early.
func listPage[T interface{ ListKey() string }, M proto.Message](
	req interface {
		GetPageSize() int32
		GetPageToken() string
	},
	list func(after string, limit int) (page []T, more bool), convert func(T) M,
) (page []M, nextToken string, err error) {
	limit, err := pageSize(req.GetPageSize())
	if err != nil {
		return nil, "", err
	}
	after, err := base64.RawURLEncoding.DecodeString(req.GetPageToken())
	if err != nil || len(after) > 0 && !session.IsListKey(string(after)) {
		return nil, "", &session.FieldError{Field: "page_token", Why: "is not one that this call gave"}
	}
	found, more := list(string(after), limit)
	size := 0
	for i, v := range found {
		m := convert(v)
		page = append(page, m)
		if size += proto.Size(m); size > maxPageBytes && i+1 < len(found) {
			found, more = found[:i+1], true
			break
		}
	}
	if more {
		nextToken = base64.RawURLEncoding.EncodeToString([]byte(found[len(found)-1].ListKey()))
	}
	return page, nextToken, nil
}
