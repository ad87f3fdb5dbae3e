package benchpeers

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"google.golang.org/grpc"
)

// machine is the system and how many processors there are.
func machine() string {
	system := runtime.GOOS
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		system = "Linux " + strings.TrimSpace(string(release))
	}
	processor := ""
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			processor = " of " + strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%s, %s, %d CPUs%s", system, runtime.GOARCH, runtime.NumCPU(), processor)
}

// versions are those of what this program has in it.
func versions(service string) []string {
	if service == "" {
		service = "dev"
	}
	return []string{"securesocket " + service, "grpc-go " + grpc.Version, "crypto/tls of " + runtime.Version()}
}
