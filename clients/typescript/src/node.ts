/** Typed client of the balance service over gRPC, for Node.js. */

import type { ClientSessionOptions, SecureClientSessionOptions } from "node:http2";

import type { Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

import { type BalanceClient, createBalanceClient, type Options } from "./client.js";

export * from "./index.js";

/** How a client of Node's calls. */
export interface NodeOptions extends Options {
  /** They see every attempt of a call, with its request id and its token. */
  interceptors?: Interceptor[];
  /** Of Node's http2.connect: for TLS, such as `{ ca }`. */
  nodeOptions?: ClientSessionOptions | SecureClientSessionOptions;
}

/** A client with a connection of its own. */
export type NodeClient = BalanceClient & {
  /** Ends the connection, and the calls under way with it. */
  close(): void;
};

/**
 * Makes a client, which connects with the first call.
 *
 * @param url - Where the service listens for gRPC, such as "http://127.0.0.1:50051"; with "https:"
 *   the connection is encrypted.
 * @param options - How the client calls.
 */
export function createNodeClient(url: string, options: NodeOptions = {}): NodeClient {
  const { interceptors = [], nodeOptions, ...rest } = options;
  const sessionManager = new Http2SessionManager(url, {}, nodeOptions);
  const transport = createGrpcTransport({ baseUrl: url, interceptors, sessionManager });
  return { ...createBalanceClient(transport, rest), close: () => sessionManager.abort() };
}
