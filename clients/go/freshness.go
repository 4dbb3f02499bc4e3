package balance

import (
	"context"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"
)

// Freshness is what the service says of how fresh an answer is.
type Freshness struct {
	// Standby says whether a standby answered.
	Standby bool
	// AsOf is up to when a standby's answer is complete, by the primary's clock; zero from the primary,
	// which leaves nothing out.
	AsOf time.Time
	// Position is before which everything lies that the answer shows, for AtLeast of the next call;
	// empty if the call had no AtLeast.
	Position string
}

// MaxStaleness is a context whose reads may leave out what was committed in the last while, up to an
// hour, so that a standby may answer them.
func MaxStaleness(ctx context.Context, staleness time.Duration) context.Context {
	seconds := strconv.FormatFloat(staleness.Seconds(), 'f', 6, 64)
	return withHeader(ctx, "balance-max-staleness", seconds+"s")
}

// AtLeast is a context whose answers show some movements, by their ids, and what earlier answers
// showed, by their positions, ten of both at most. Without any, an answer tells its position all the
// same.
func AtLeast(ctx context.Context, seen ...string) context.Context {
	return withHeader(ctx, "balance-at-least", strings.Join(seen, ","))
}

// withHeader is a context that sends a header once, in place of what it sent before.
func withHeader(ctx context.Context, name, value string) context.Context {
	sent, _ := metadata.FromOutgoingContext(ctx)
	if sent == nil {
		sent = metadata.MD{}
	}
	sent.Set(name, value)
	return metadata.NewOutgoingContext(ctx, sent)
}

// FreshnessOf reads the trailing metadata of a call, which gRPC's option Trailer brings.
func FreshnessOf(trailer metadata.MD) Freshness {
	told := func(name string) string { return strings.Join(trailer.Get(name), "") }
	// What is no time stays zero, and so does none.
	asOf, _ := time.Parse(time.RFC3339, told("balance-as-of"))
	return Freshness{told("balance-read-from") == "standby", asOf, told("balance-position")}
}
