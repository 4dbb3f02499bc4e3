import type { DescService } from "@bufbuild/protobuf";
import { type CallOptions, type Client, createClient, type Transport } from "@connectrpc/connect";

type Begin = (request: unknown, options?: CallOptions) => AsyncIterable<unknown>;

/**
 * A client of one service, as Connect makes it, but that a stream ends when its reader leaves the
 * loop. Connect's goes on until its signal is aborted.
 */
export function createServiceClient<Service extends DescService>(
  service: Service,
  transport: Transport,
): Client<Service> {
  const client = createClient(service, transport);
  const methods = client as unknown as Record<string, Begin>;
  for (const { localName, methodKind } of service.methods) {
    if (methodKind === "server_streaming" || methodKind === "bidi_streaming") {
      methods[localName] = leavable(methods[localName]!);
    }
  }
  return client;
}

function leavable(begin: Begin): Begin {
  return async function* (request, options = {}) {
    const left = new AbortController();
    const { signal } = options;
    const ends = signal ? AbortSignal.any([signal, left.signal]) : left.signal;
    try {
      yield* begin(request, { ...options, signal: ends });
    } finally {
      left.abort();
    }
  };
}
