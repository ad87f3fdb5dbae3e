//go:build !race

package revocation

const underRace = false
