package balance

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"balance.example/go/balancev1"
)

// How long Close waits for the answer to a refresh token.
const closeTimeout = 5 * time.Second

// UserCredentials use the tokens of a user's sign-in: what CreateToken answered, or the last that was
// kept.
//
// A refresh token works once, and is sent by one renewal at a time. When the answer to it is lost,
// the service may have spent it, and takes its repetition for theft. It is sent again all the same,
// for without it the sign-in is lost anyway; if the service then refuses it, every call from there
// on returns REFRESH_TOKEN_INVALID with the whole story: the user must sign in again.
//
// keep is called with each new token, in a goroutine of its own; whoever stores the token must store
// the new one. It may be nil. One sign-in is for one process: two that hold the same refresh token end it.
func UserCredentials(signIn *balancev1.Token, keep func(*balancev1.Token)) Credentials {
	// How much of its life is left, only the wall clock can tell; if it is wrong, the token is renewed
	// too soon or after a refusal, once.
	left := time.Until(signIn.GetExpireTime().AsTime())
	life := time.Duration(signIn.GetExpiresInSeconds()) * time.Second
	if life == 0 {
		life = left
	}
	known := living(signIn, time.Now(), left, life)
	user := &user{refreshToken: signIn.GetRefreshToken(), keep: keep}
	user.renewing = renewing{ask: user.refresh, timeout: refreshTimeout, known: known}
	return user
}

type user struct {
	renewing
	keep func(*balancev1.Token)
	// What follows belongs to the renewal under way.
	refreshToken string
	unanswered   error
	ended        error
}

func (u *user) refresh(
	ctx context.Context, auth balancev1.AuthServiceClient,
) (*balancev1.Token, error) {
	if u.ended != nil {
		return nil, u.ended
	}
	if u.refreshToken == "" {
		text := "The access token is over, and there is no refresh token. Sign in again."
		return nil, status.Error(codes.Unauthenticated, text)
	}
	request := &balancev1.RefreshTokenRequest{RefreshToken: u.refreshToken}
	answer, err := auth.RefreshToken(ctx, request)
	switch status.Code(err) {
	case codes.OK:
		u.refreshToken, u.unanswered = answer.GetRefreshToken(), nil
		if u.keep != nil {
			u.keep(answer)
		}
	case codes.Canceled, codes.Unknown, codes.DeadlineExceeded, codes.Internal, codes.Unavailable:
		u.unanswered = err
	case codes.Unauthenticated:
		u.ended = endOfSignIn(err, u.unanswered)
		return nil, u.ended
	}
	return answer, err
}

// finish waits for a renewal under way, for some seconds: its answer must not be lost.
func (u *user) finish() {
	u.mutex.Lock()
	run := u.run
	u.mutex.Unlock()
	if run == nil {
		return
	}
	select {
	case <-run.done:
	case <-time.After(closeTimeout):
	}
}

// endOfSignIn is the end of a sign-in, with what led to it.
func endOfSignIn(refusal, unanswered error) error {
	if unanswered == nil {
		return fmt.Errorf("%w Sign in again.", refusal)
	}
	return fmt.Errorf(
		"%w Sign in again. An earlier use of the refresh token was not answered (%v); the service may"+
			" have carried it out, and takes a second use for theft.", refusal, unanswered,
	)
}
