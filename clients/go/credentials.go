package balance

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"balance.example/go/balancev1"
)

const (
	// An attempt to sign in is given up after this long, to be made with another instance. One to
	// refresh is given longer, for an answer that is not waited for is lost.
	signInTimeout  = 10 * time.Second
	refreshTimeout = 30 * time.Second
	// How long a call waits for a new access token while the old one is still good.
	patience = 2 * time.Second
	// An access token is renewed this long before its life is over, or a quarter of its life.
	renewBefore = 30 * time.Second
	// Of a token whose life the service does not tell: it is used until it is refused.
	longLife = 10 * 365 * 24 * time.Hour
)

// Credentials give access tokens, for any number of clients and of calls at once.
type Credentials interface {
	// Token is an access token that has some life left. If there is none, auth is asked for one.
	Token(ctx context.Context, auth balancev1.AuthServiceClient) (string, error)
	// Refused is told of a token that the service has refused, and says whether Token may have
	// another.
	Refused(token string) bool
}

// AccessToken is a token that was got elsewhere, and is not renewed.
type AccessToken string

// Token is the token.
func (t AccessToken) Token(context.Context, balancev1.AuthServiceClient) (string, error) {
	return string(t), nil
}

// Refused has no other.
func (t AccessToken) Refused(string) bool {
	return false
}

// ServiceCredentials sign a sibling service in with its client id and secret.
func ServiceCredentials(clientID, clientSecret string) Credentials {
	request := &balancev1.CreateTokenRequest{ClientId: clientID, ClientSecret: clientSecret}
	ask := func(ctx context.Context, auth balancev1.AuthServiceClient) (*balancev1.Token, error) {
		return auth.CreateToken(ctx, request)
	}
	return &renewing{ask: ask, timeout: signInTimeout}
}

// renewing asks for a token once for all the calls that need one. A renewal is one attempt, and
// belongs to no call: it goes on when the calls that wait for it are cancelled, and the next ones
// find its result. If it fails for a passing cause, the calls that still wait begin the next.
type renewing struct {
	ask     func(context.Context, balancev1.AuthServiceClient) (*balancev1.Token, error)
	timeout time.Duration

	mutex sync.Mutex
	known token
	run   *renewal
}

type renewal struct {
	done  chan struct{}
	token token
	err   error
}

// token is an access token in use. Its times are on the monotonic clock: the wall clock may be wrong.
type token struct {
	text               string
	renewAt, expiresAt time.Time
}

// received is the token of an answer to what was asked then: its life began no sooner.
func received(answer *balancev1.Token, asked time.Time) token {
	life := time.Duration(answer.GetExpiresInSeconds()) * time.Second
	if life == 0 {
		life = longLife
	}
	return living(answer, asked, life, life)
}

// living is a token that has some of its life left at a time.
func living(answer *balancev1.Token, at time.Time, left, life time.Duration) token {
	return token{answer.GetToken(), at.Add(left - min(renewBefore, life/4)), at.Add(left)}
}

func (t token) good() bool {
	return t.text != "" && time.Now().Before(t.expiresAt)
}

// Token waits for a renewal where one is due, and begins it where none is under way.
func (r *renewing) Token(ctx context.Context, auth balancev1.AuthServiceClient) (string, error) {
	for made := 1; ; made++ {
		old, run := r.join(auth)
		if run == nil {
			return old.text, nil
		}
		failure := run.wait(ctx, old)
		switch {
		case failure == nil:
			return run.token.text, nil
		case old.good():
			return old.text, nil
		case ctx.Err() != nil:
			return "", status.FromContextError(ctx.Err()).Err()
		case !passes(failure) && status.Code(failure) != codes.DeadlineExceeded:
			return "", failure
		case !sleep(ctx, defaultPolicy.pause(made, failure)):
			return "", failure
		}
	}
}

// join answers the token in use, and the renewal under way if it is due.
func (r *renewing) join(auth balancev1.AuthServiceClient) (token, *renewal) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.known.text != "" && time.Now().Before(r.known.renewAt) {
		return r.known, nil
	}
	if r.run == nil {
		r.run = &renewal{done: make(chan struct{})}
		go r.renew(r.run, auth)
	}
	return r.known, r.run
}

func (r *renewing) renew(run *renewal, auth balancev1.AuthServiceClient) {
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	defer cancel()
	asked := time.Now()
	answer, err := r.ask(ctx, auth)
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if run.err = err; err == nil {
		run.token = received(answer, asked)
		r.known = run.token
	}
	r.run = nil
	close(run.done)
}

// wait waits for the renewal's end: for the call's time, or less if the old token is still good.
func (r *renewal) wait(ctx context.Context, old token) error {
	if old.good() {
		wait := patience
		if deadline, limited := ctx.Deadline(); limited {
			wait = min(wait, time.Until(deadline)/2)
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

// Refused forgets the token, unless it has been replaced.
func (r *renewing) Refused(text string) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.known.text == text {
		r.known = token{}
	}
	return true
}
