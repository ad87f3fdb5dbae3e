//go:build race

package server_test

// raceEnabled: everything takes several times as long.
const raceEnabled = true
