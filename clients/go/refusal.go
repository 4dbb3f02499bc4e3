package balance

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const domain = "balance.v1"

// Refusal is the error of a call that the service refused. What failed on the way to the service or
// back is gRPC's own error, whose code status.Code tells.
type Refusal struct {
	// Code is the status code.
	Code codes.Code
	// Reason is stable, and what to branch on. One that only a newer service knows is kept as text.
	Reason Reason
	// Message is for people, in English.
	Message string
	// LocalizedMessage is for people, in the language that was asked for.
	LocalizedMessage string
	// Metadata has the reason's facts, such as "missing".
	Metadata map[string]string
	// Violations say what is wrong with the request's fields.
	Violations []Violation
	// RetryAfter is when to try again, where the service says so; 0 where it does not.
	RetryAfter time.Duration

	status *status.Status
}

// Violation says what is wrong with one field of a request.
type Violation struct {
	Field       string
	Description string
}

// Error is the reason and the message.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%s: %s", r.Reason, r.Message)
}

// GRPCStatus is the refusal as gRPC knows it.
func (r *Refusal) GRPCStatus() *status.Status {
	return r.status
}

// RefusalOf reads the refusal of one item of a batch or a stream; nil if there is none.
func RefusalOf(item *rpcstatus.Status) *Refusal {
	return refusalOf(status.FromProto(item))
}

// refused is the error of a finished call: a refusal, if the service gave a reason.
func refused(failure error) error {
	if failure == nil {
		return nil
	}
	if answered, ok := status.FromError(failure); ok {
		if refusal := refusalOf(answered); refusal != nil {
			return refusal
		}
	}
	return failure
}

func refusalIn(failure error) *Refusal {
	var refusal *Refusal
	errors.As(failure, &refusal)
	return refusal
}

func refusalOf(answered *status.Status) *Refusal {
	refusal := &Refusal{
		Code:             answered.Code(),
		Message:          answered.Message(),
		LocalizedMessage: answered.Message(),
		status:           answered,
	}
	for _, detail := range answered.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.GetDomain() == domain {
				refusal.Reason = Reason(detail.GetReason())
				refusal.Metadata = detail.GetMetadata()
			}
		case *errdetails.BadRequest:
			for _, found := range detail.GetFieldViolations() {
				violation := Violation{found.GetField(), found.GetDescription()}
				refusal.Violations = append(refusal.Violations, violation)
			}
		case *errdetails.RetryInfo:
			refusal.RetryAfter = detail.GetRetryDelay().AsDuration()
		case *errdetails.LocalizedMessage:
			refusal.LocalizedMessage = detail.GetMessage()
		}
	}
	if refusal.Reason == "" {
		return nil
	}
	return refusal
}
