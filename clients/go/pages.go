package balance

import (
	"context"
	"iter"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Page is the answer of a method that lists.
type Page interface {
	proto.Message
	GetNextPageToken() string
}

// Each asks a list method for page after page, and yields every item. An error ends it.
//
//	for entry, err := range balance.Each(ctx, client.Accounts.ListEntries, request, (*balancev1.ListEntriesResponse).GetEntries) {
//
// The request's page_token is where the list starts, and its skip is how many items are left out
// there.
func Each[Request proto.Message, Answer Page, Item any](
	ctx context.Context,
	list func(context.Context, Request, ...grpc.CallOption) (Answer, error),
	request Request,
	items func(Answer) []Item,
	options ...grpc.CallOption,
) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		next := proto.CloneOf(request)
		for {
			page, err := list(ctx, next, options...)
			if err != nil {
				var none Item
				yield(none, err)
				return
			}
			for _, item := range items(page) {
				if !yield(item, nil) {
					return
				}
			}
			if page.GetNextPageToken() == "" {
				return
			}
			turn(next, page.GetNextPageToken())
		}
	}
}

// turn makes a list's request ask for the page of a token.
func turn(request proto.Message, token string) {
	message := request.ProtoReflect()
	fields := message.Descriptor().Fields()
	message.Set(fields.ByName("page_token"), protoreflect.ValueOfString(token))
	// Both are for the first page: each of the others would skip and count again.
	for _, name := range []protoreflect.Name{"skip", "count_total"} {
		if field := fields.ByName(name); field != nil {
			message.Clear(field)
		}
	}
}
