package session

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// request is one with arguments that digest stands for.
func request(id string, digest byte) Request {
	r := Request{ID: id}
	r.Digest[0] = digest
	return r
}

func TestRequestsAreRememberedForTenMinutes(t *testing.T) {
	t.Parallel()
	var l requestLog[int]
	start := time.Now()
	l.remember(request("a", 1), 7, start, 10)
	v, found, err := l.find(request("a", 1), start.Add(requestMemory))
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, 7, v)
	_, _, err = l.find(request("a", 2), start)
	require.ErrorAs(t, err, new(*RequestIDError))
	_, found, err = l.find(request("a", 2), start.Add(requestMemory+1))
	require.NoError(t, err)
	require.False(t, found)
	require.Empty(t, l.entries, "nothing stays behind")
	require.Empty(t, l.order)
}

func TestTheOldestRequestMakesRoom(t *testing.T) {
	t.Parallel()
	var l requestLog[int]
	now := time.Now()
	for i, id := range []string{"a", "b", "c", "d"} {
		l.remember(request(id, 1), i, now.Add(time.Duration(i)), 3)
	}
	require.Len(t, l.entries, 3)
	_, found, err := l.find(request("a", 1), now)
	require.NoError(t, err)
	require.False(t, found)
	_, found, err = l.find(request("d", 1), now)
	require.NoError(t, err)
	require.True(t, found)
}

// A request that was forgotten and came again lives by its second coming.
func TestForgottenRequestBeginsAnew(t *testing.T) {
	t.Parallel()
	var l requestLog[int]
	start := time.Now()
	l.remember(request("a", 1), 1, start, 3)
	l.forget("a")
	l.remember(request("a", 2), 2, start.Add(time.Minute), 3)
	v, found, err := l.find(request("a", 2), start.Add(requestMemory+time.Second))
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, 2, v)
	l.remember(request("", 1), 3, start, 3)
	require.NotContains(t, l.entries, "", "no ID is not remembered")
}
