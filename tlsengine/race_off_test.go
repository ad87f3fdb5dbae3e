//go:build !race

package tlsengine

const raceEnabled = false // the race detector makes every chain twenty times as dear
