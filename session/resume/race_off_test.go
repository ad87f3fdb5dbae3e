//go:build !race

package resume

const raceEnabled = false // the race detector makes every state ten times as dear
