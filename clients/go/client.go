// Package balance calls the balance service: its methods, typed, on a connection that signs in,
// sends request ids, repeats what is safe to repeat, and returns refusals one can branch on.
package balance

import (
	"crypto/tls"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// After a restart of the service, a connection is tried again this soon at first, and this seldom
// at most.
const (
	reconnectDelay    = 100 * time.Millisecond
	reconnectDelayMax = 5 * time.Second
)

// Client has a field for each service of the contract. It is safe for use by any number of
// goroutines at once.
type Client struct {
	Services
	conn        *grpc.ClientConn
	credentials Credentials
}

// Option changes how a client calls.
type Option func(*settings)

type settings struct {
	credentials Credentials
	transport   credentials.TransportCredentials
	language    string
	policy      RetryPolicy
	dial        []grpc.DialOption
}

// WithCredentials says who calls. Without it, only public methods can be called.
func WithCredentials(who Credentials) Option {
	return func(s *settings) { s.credentials = who }
}

// WithTLS encrypts the connection; nil trusts the authorities of the system. Without it, the
// connection is plain.
func WithTLS(config *tls.Config) Option {
	return func(s *settings) { s.transport = credentials.NewTLS(config) }
}

// WithLanguage asks for messages for people in a language, as HTTP's accept-language does, such as
// "ru"; they are English without it.
func WithLanguage(language string) Option {
	return func(s *settings) { s.language = language }
}

// WithRetryPolicy repeats failed calls otherwise than DefaultRetryPolicy says.
func WithRetryPolicy(policy RetryPolicy) Option {
	return func(s *settings) { s.policy = policy }
}

// WithDialOptions adds options of gRPC's own. Interceptors among them see every attempt of a call,
// with its request id and its token.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) { s.dial = append(s.dial, options...) }
}

// NewClient makes a client of the service at a gRPC target, such as "dns:///balance:50051", and
// connects with the first call. Calls take turns among all addresses of the target.
func NewClient(target string, options ...Option) (*Client, error) {
	s := settings{transport: insecure.NewCredentials(), policy: DefaultRetryPolicy()}
	for _, option := range options {
		option(&s)
	}
	calls := &caller{policy: s.policy, language: s.language, credentials: s.credentials}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(s.transport),
		grpc.WithDefaultServiceConfig(loadBalancing),
		// The caller repeats calls itself: it knows more of a failure than its status.
		grpc.WithDisableRetry(),
		grpc.WithUserAgent("balance-ledger-client-go/" + Version),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay:  reconnectDelay,
				Multiplier: backoff.DefaultConfig.Multiplier,
				Jitter:     backoff.DefaultConfig.Jitter,
				MaxDelay:   reconnectDelayMax,
			},
			MinConnectTimeout: reconnectDelayMax,
		}),
		grpc.WithChainUnaryInterceptor(calls.unary),
		grpc.WithChainStreamInterceptor(calls.stream),
	}
	conn, err := grpc.NewClient(target, append(dial, s.dial...)...)
	if err != nil {
		return nil, err
	}
	client := &Client{newServices(conn), conn, s.credentials}
	calls.auth = client.Auth
	return client, nil
}

// Close ends the connection, and the calls under way with it. It waits for the answer to a refresh
// token, for some seconds.
func (c *Client) Close() error {
	if user, ok := c.credentials.(*user); ok {
		user.finish()
	}
	return c.conn.Close()
}
