package balance

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// What clients in any language follow, made from the contract.
//
//go:embed service_config.json
var serviceConfig []byte

var (
	loadBalancing string
	defaultPolicy RetryPolicy
	repeatable    = map[string]bool{}
)

// RetryPolicy says how failed calls are repeated.
type RetryPolicy struct {
	// AttemptsMax counts attempts in all, the first included.
	AttemptsMax int
	// Backoff is the longest pause after the first attempt; it doubles with each.
	Backoff time.Duration
	// BackoffMax is the longest pause at all.
	BackoffMax time.Duration
	// Timeout is for all attempts of a call whose context has no deadline.
	Timeout time.Duration
}

// DefaultRetryPolicy is what the published service config says.
func DefaultRetryPolicy() RetryPolicy {
	return defaultPolicy
}

func init() {
	var published struct {
		LoadBalancingConfig json.RawMessage
		MethodConfig        []struct {
			Name        []struct{ Service, Method string }
			Timeout     string
			RetryPolicy struct {
				MaxAttempts                int
				InitialBackoff, MaxBackoff string
			}
		}
	}
	if err := json.Unmarshal(serviceConfig, &published); err != nil {
		panic(err)
	}
	loadBalancing = fmt.Sprintf(`{"loadBalancingConfig": %s}`, published.LoadBalancingConfig)
	calls := published.MethodConfig[0]
	for _, name := range calls.Name {
		repeatable["/"+name.Service+"/"+name.Method] = true
	}
	defaultPolicy = RetryPolicy{
		AttemptsMax: calls.RetryPolicy.MaxAttempts,
		Backoff:     parsed(calls.RetryPolicy.InitialBackoff),
		BackoffMax:  parsed(calls.RetryPolicy.MaxBackoff),
		Timeout:     parsed(calls.Timeout),
	}
}

func parsed(text string) time.Duration {
	duration, err := time.ParseDuration(text)
	if err != nil {
		panic(err)
	}
	return duration
}

// pause is how long to wait after an attempt, counted from 1. Its jitter is full: callers refused
// together do not come back together.
func (p RetryPolicy) pause(made int, failure error) time.Duration {
	longest := p.Backoff
	for doubled := 1; doubled < made && longest < p.BackoffMax; doubled++ {
		longest *= 2
	}
	jittered := time.Duration(rand.Float64() * float64(min(longest, p.BackoffMax)))
	if refusal := refusalIn(failure); refusal != nil {
		return max(jittered, refusal.RetryAfter)
	}
	return jittered
}

// passes says whether a failure passes: the same call may succeed in a moment.
func passes(failure error) bool {
	refusal := refusalIn(failure)
	switch status.Code(failure) {
	case codes.Unavailable:
		return true
	case codes.ResourceExhausted:
		// Without a reason it is a limit of the caller's own, such as a message's size.
		return refusal != nil &&
			(refusal.Reason == ReasonOverloaded || refusal.Reason == ReasonQuotaExceeded)
	case codes.Canceled, codes.Internal:
		// An overloaded server ends calls that it has not read, and a stream may be reset on its way;
		// the service gives details with its own failures.
		return refusal == nil
	}
	return false
}

// mayRepeat says whether a call may be sent again: it changes nothing, or its request carries an id.
func mayRepeat(method string, request any) bool {
	if !repeatable[method] {
		return false
	}
	message, ok := request.(proto.Message)
	if !ok {
		return false
	}
	field := requestIDField(message)
	return field == nil || message.ProtoReflect().Get(field).String() != ""
}
