//go:build !race

package h2attack_test

const raceFactor = 1
