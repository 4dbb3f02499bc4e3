// Package balancetest starts a real balance service for tests: `balance-service run --ephemeral`.
package balancetest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	balance "balance.example/go"
	"balance.example/go/balancev1"
)

const (
	command   = "BALANCE_SERVICE_COMMAND"
	program   = "balance-service"
	stopsIn   = 30 * time.Second
	mailComes = 5 * time.Second
)

// ErrNotInstalled says that there is no balance service here to start.
var ErrNotInstalled = errors.New(
	program + " is not in PATH: pip install 'balance-ledger-service[embedded]', or say in " + command + " how to start it")

// Service is a service that runs, with a database of its own.
type Service struct {
	// Target is its address for gRPC, without TLS.
	Target string `json:"grpc"`
	// HTTP is the base URL of JSON over HTTP.
	HTTP string `json:"http"`
	// ClientID and ClientSecret are those of a sibling service that may do everything.
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	// AdminToken is the access token of an admin.
	AdminToken string `json:"admin_token"`
	// Mailbox is the file in which confirmation codes arrive.
	Mailbox string `json:"mailbox"`

	process *exec.Cmd
	stdin   io.Closer
}

// Run starts a service for a test and stops it at the test's end. Without a balance service here, the test is skipped.
// Settings are those of the service's environment, such as "BALANCE_ACCESS_TOKEN_SECONDS=60".
func Run(t testing.TB, settings ...string) *Service {
	t.Helper()
	service, err := Start(settings...)
	if errors.Is(err, ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := service.Stop(); err != nil {
			t.Error(err)
		}
	})
	return service
}

// Start starts a service, which whoever started it stops; it ends with this process, too.
func Start(settings ...string) (*Service, error) {
	words, err := findCommand()
	if err != nil {
		return nil, err
	}
	words = append(words, "run", "--ephemeral", "--until-stdin-closes")
	process := exec.Command(words[0], words[1:]...)
	process.Env = append(environment(), settings...)
	var said bytes.Buffer
	process.Stderr = &said
	stdin, err := process.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := process.Start(); err != nil {
		return nil, err
	}
	service := &Service{process: process, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		_ = service.Stop()
		return nil, fmt.Errorf("%s did not start: %s", strings.Join(words, " "), &said)
	}
	if err := json.Unmarshal(line, service); err != nil {
		_ = service.Stop()
		return nil, err
	}
	return service, nil
}

// Stop ends the service, and deletes what it kept.
func (s *Service) Stop() error {
	_ = s.stdin.Close()
	killing := time.AfterFunc(stopsIn, func() { _ = s.process.Process.Kill() })
	defer killing.Stop()
	return s.process.Wait()
}

// Client calls as the sibling service; whoever asked for it closes it.
func (s *Service) Client() (*balance.Client, error) {
	credentials := balance.ServiceCredentials(s.ClientID, s.ClientSecret)
	return balance.NewClient(s.Target, balance.WithCredentials(credentials))
}

var code = regexp.MustCompile(`code is (\d+)`)

// SignIn signs somebody in, creating them if need be, with the code that was sent to them.
func (s *Service) SignIn(ctx context.Context, email string) (*balancev1.Token, error) {
	client, err := balance.NewClient(s.Target)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	earlier := len(s.codes(email))
	sent, err := client.Auth.SendConfirmationCode(ctx, &balancev1.SendConfirmationCodeRequest{Email: email})
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(mailComes); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if codes := s.codes(email); len(codes) > earlier {
			return client.Auth.CreateToken(ctx, &balancev1.CreateTokenRequest{
				VerificationId: sent.VerificationId, ConfirmationCode: codes[len(codes)-1],
			})
		}
	}
	return nil, fmt.Errorf("no code for %s came to %s", email, s.Mailbox)
}

func (s *Service) codes(email string) []string {
	text, _ := os.ReadFile(s.Mailbox)
	var found []string
	for _, mail := range strings.Split(string(text), "To: ")[1:] {
		if match := code.FindStringSubmatch(mail); match != nil && strings.HasPrefix(mail, email+"\n") {
			found = append(found, match[1])
		}
	}
	return found
}

func findCommand() ([]string, error) {
	if words := strings.Fields(os.Getenv(command)); len(words) > 0 {
		return words, nil
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, ErrNotInstalled
	}
	return []string{path}, nil
}

// environment is this process's own, without what a caller of the service may have set there.
func environment() []string {
	var kept []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(strings.ToUpper(pair), "BALANCE_") {
			kept = append(kept, pair)
		}
	}
	return kept
}
