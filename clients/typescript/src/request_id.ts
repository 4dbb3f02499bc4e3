import { clone, create, type DescMessage, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";

/** Makes a UUIDv7 (RFC 9562), which the service stores most compactly. */
export function newRequestId(): string {
  const milliseconds = Date.now().toString(16).padStart(12, "0");
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  const random = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const variant = (8 + (bytes[9]! & 3)).toString(16);
  return [
    milliseconds.slice(0, 8),
    milliseconds.slice(8),
    `7${random.slice(0, 3)}`,
    `${variant}${random.slice(3, 6)}`,
    random.slice(6, 18),
  ].join("-");
}

/** The request with a fresh request id, if it takes one and has none; the given one stays as it is. */
export function withRequestId<I extends DescMessage>(
  schema: I,
  input: MessageInitShape<I>,
): MessageShape<I> {
  const message = create(schema, input);
  if (requestId(message) !== "") {
    return message;
  }
  const filled = clone(schema, message);
  (filled as { requestId?: string }).requestId = newRequestId();
  return filled;
}

/** A request's id; undefined if requests of its kind take none. */
export function requestId(message: object): string | undefined {
  return (message as { requestId?: string }).requestId;
}
