package balance

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// NewRequestID makes a UUIDv7 (RFC 9562), which the service stores most compactly.
func NewRequestID() string {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], uint64(time.Now().UnixMilli())<<16)
	rand.Read(id[6:]) // It never fails, as its documentation says.
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	text := hex.EncodeToString(id[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// withRequestID is the request with a fresh request id, if it takes one and has none; the given one
// stays as it is.
func withRequestID(request any) any {
	message, ok := request.(proto.Message)
	if !ok {
		return request
	}
	field := requestIDField(message)
	if field == nil || message.ProtoReflect().Get(field).String() != "" {
		return request
	}
	filled := proto.Clone(message)
	filled.ProtoReflect().Set(field, protoreflect.ValueOfString(NewRequestID()))
	return filled
}

func requestIDField(message proto.Message) protoreflect.FieldDescriptor {
	return message.ProtoReflect().Descriptor().Fields().ByName("request_id")
}
