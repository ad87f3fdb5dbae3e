package durable_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"securesocket/session/durable"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// childDir makes the test binary a second process, which uses the store in that folder; see child.
const childDir = "DURABLE_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// child opens the store, says so, and puts numbered values for ever. It says each number when Put has returned.
func child(dir string) {
	s, err := durable.Open(dir)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("open")
	for i := 0; ; i++ {
		key, value := numbered(i)
		if err := s.Put("numbers", key, value); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		if i%3 == 2 { // pages come free, and are used again
			if err := s.Delete("numbers", "gone"); err != nil {
				os.Exit(1)
			}
		} else if err := s.Put("numbers", "gone", value); err != nil {
			os.Exit(1)
		}
		fmt.Println(key)
	}
}

// numbered has values from nothing to some pages.
func numbered(i int) (key string, value []byte) {
	key = fmt.Sprintf("%06d", i%200)
	value = make([]byte, (i*997)%20000)
	for j := range value {
		value[j] = byte(i + j)
	}
	return key, append(value, fmt.Sprintf("%d", i)...)
}

// start runs child, and returns its lines and what kills it. It is killed at the end at the latest.
func start(t *testing.T, dir string) (lines *bufio.Scanner, kill func()) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines = bufio.NewScanner(out)
	require.True(t, lines.Scan())
	require.Equal(t, "open", lines.Text())
	return lines, func() { require.NoError(t, cmd.Process.Kill()) }
}

func open(t *testing.T, dir string) *durable.Bolt {
	t.Helper()
	s, err := durable.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}
