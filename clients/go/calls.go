package balance

import (
	"context"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"balance.example/go/balancev1"
)

// caller is what the calls of a client share.
type caller struct {
	policy      RetryPolicy
	language    string
	credentials Credentials
	auth        balancev1.AuthServiceClient
}

// unary gives a call its time, its request id and its token, and repeats it where that is safe.
func (c *caller) unary(
	ctx context.Context, method string, request, reply any,
	conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.policy.Timeout)
		defer cancel()
	}
	request = withRequestID(request)
	again := mayRepeat(method, request)
	// A connection is waited for: the time is limited, and nothing is sent without one.
	options = append([]grpc.CallOption{grpc.WaitForReady(true)}, options...)
	way := c.enter(ctx, method)
	for made := 1; ; {
		admitted, err := way.admit(ctx)
		if err != nil {
			return err
		}
		failure := refused(invoke(admitted, method, request, reply, conn, options...))
		if failure == nil || ctx.Err() != nil {
			return failure
		}
		if way.renews(failure) {
			continue
		}
		if !again || made >= c.policy.AttemptsMax || !passes(failure) {
			return failure
		}
		if !sleep(ctx, c.policy.pause(made, failure)) {
			return failure
		}
		made++
	}
}

// stream gives a stream its token. A stream is not repeated, for its caller alone knows from where;
// but one with a single request is begun again if its token is refused before the first answer.
func (c *caller) stream(
	ctx context.Context, description *grpc.StreamDesc, conn *grpc.ClientConn, method string,
	begin grpc.Streamer, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	way := c.enter(ctx, method)
	open := func() (grpc.ClientStream, error) {
		admitted, err := way.admit(ctx)
		if err != nil {
			return nil, err
		}
		opened, err := begin(admitted, description, conn, method, options...)
		return opened, refused(err)
	}
	opened, err := open()
	if err != nil {
		return nil, err
	}
	return &stream{opened, way, open, description.ClientStreams, nil, false}, nil
}

type stream struct {
	grpc.ClientStream
	way      *entry
	open     func() (grpc.ClientStream, error)
	many     bool
	request  any
	answered bool
}

func (s *stream) SendMsg(message any) error {
	if !s.many {
		s.request = message
	}
	return refused(s.ClientStream.SendMsg(message))
}

func (s *stream) RecvMsg(message any) error {
	for {
		failure := s.ClientStream.RecvMsg(message)
		if failure == nil || failure == io.EOF {
			s.answered, s.request = true, nil
			return failure
		}
		failure = refused(failure)
		// A token that was refused is forgotten, whether or not the stream can be begun again.
		if s.answered || !s.way.renews(failure) || s.many {
			return failure
		}
		if err := s.beginAgain(); err != nil {
			return err
		}
	}
}

func (s *stream) beginAgain() error {
	opened, err := s.open()
	if err != nil {
		return err
	}
	s.ClientStream = opened
	// Its end, if it has one so soon, is received.
	if err := opened.SendMsg(s.request); err != nil && err != io.EOF {
		return refused(err)
	}
	return opened.CloseSend()
}

// entry is how one call gets in: its metadata, with a token that is renewed once if it is refused.
type entry struct {
	caller      *caller
	credentials Credentials
	language    string
	token       string
	renewed     bool
}

func (c *caller) enter(ctx context.Context, method string) *entry {
	way := &entry{caller: c, credentials: c.credentials, language: c.language}
	given, _ := metadata.FromOutgoingContext(ctx)
	// A caller's own token is the caller's affair, and to get one takes none.
	auth := balancev1.AuthService_ServiceDesc.ServiceName
	if len(given.Get("authorization")) > 0 || strings.HasPrefix(method, "/"+auth+"/") {
		way.credentials = nil
	}
	if len(given.Get("accept-language")) > 0 {
		way.language = ""
	}
	return way
}

// admit is the context to call with now.
func (e *entry) admit(ctx context.Context) (context.Context, error) {
	if e.language != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "accept-language", e.language)
	}
	if e.credentials == nil {
		return ctx, nil
	}
	waiting, cancel := context.WithTimeout(ctx, e.caller.policy.Timeout)
	defer cancel()
	token, err := e.credentials.Token(waiting, e.caller.auth)
	if err != nil {
		return nil, err
	}
	e.token = token
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), nil
}

// renews says whether a failed call is worth another attempt with another token.
func (e *entry) renews(failure error) bool {
	refusal := refusalIn(failure)
	if e.credentials == nil || e.renewed || refusal == nil || refusal.Code != codes.Unauthenticated {
		return false
	}
	if refusal.Reason != ReasonTokenInvalid && refusal.Reason != ReasonTokenExpired {
		return false
	}
	e.renewed = true
	return e.credentials.Refused(e.token)
}

// sleep waits; it answers false at once where the context would end first, and when it has ended.
func sleep(ctx context.Context, pause time.Duration) bool {
	if deadline, limited := ctx.Deadline(); limited && time.Until(deadline) <= pause {
		return false
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
