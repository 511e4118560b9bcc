//go:build linux

package testrig_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/guestforge/provision/internal/testrig"
	"github.com/stretchr/testify/require"
)

// starterDir makes the test binary start a libvirtd there, print its process
// ids and wait: TestStarterKilled runs it so.
const starterDir = "TESTRIG_STARTER_DIR"

// starterGroups makes that libvirtd use control groups.
const starterGroups = "TESTRIG_STARTER_GROUPS"

func TestMain(m *testing.M) {
	if dir := os.Getenv(starterDir); dir != "" {
		l, err := testrig.StartLibvirt(context.Background(), &testrig.LibvirtOptions{Dir: dir, Cgroups: os.Getenv(starterGroups) != ""})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(l.Processes())
		select {}
	}
	os.Exit(m.Run())
}

func TestStarterKilled(t *testing.T) {
	testrig.Need(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), starterDir+"="+t.TempDir())
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	pids := regexp.MustCompile(`\d+`).FindAllString(line, -1)
	require.GreaterOrEqual(t, len(pids), 2, line)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	eventually(t, "end of "+line, func() bool {
		for _, pid := range pids {
			status, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
			if err == nil && !strings.Contains(string(status), ") Z ") { // nobody may be there to reap it
				return false
			}
		}
		return true
	})
}

func TestStartRefuses(t *testing.T) {
	testrig.Need(t)
	full := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "file"), nil, 0o600))
	for dir, message := range map[string]string{
		"":                           "required",
		full:                         "not empty",
		"/tmp/a b":                   "' '",
		strings.Repeat("/long", 20):  "shorter by",
		"/proc/no-directories-here/": "mkdir",
	} {
		_, err := testrig.StartLibvirt(t.Context(), &testrig.LibvirtOptions{Dir: dir})
		require.ErrorContains(t, err, message)
	}
}
