package resume

import "time"

// Of one session's attaches.
const (
	attachEvery = time.Second / 50
	attachBurst = 200
	failedEvery = time.Second
	failedBurst = 10
)

// limit lets one pass every so often, and up to burst at once: a bucket that is
// kept as the instant at which it will be full.
type limit struct {
	every time.Duration
	burst int
	full  time.Time
}

// wait is how long until one may pass; 0: now.
func (l *limit) wait(now time.Time) time.Duration {
	if l.full.Before(now) { // the first time by more than a Duration holds
		return 0
	}
	return max(0, l.full.Sub(now)-time.Duration(l.burst-1)*l.every)
}

func (l *limit) take(now time.Time) {
	if l.full.Before(now) {
		l.full = now
	}
	l.full = l.full.Add(l.every)
}
