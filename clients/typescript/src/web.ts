/** Typed client of the balance service for browsers, through a door that speaks gRPC-Web or Connect. */

import type { Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";

import { type BalanceClient, createBalanceClient, type Options } from "./client.js";

export * from "./index.js";

/** How a browser's client calls. */
export interface WebOptions extends Options {
  /** What is spoken; the service's Envoy speaks gRPC-Web always, and Connect where it is told to. */
  protocol?: "grpc-web" | "connect";
  /** They see every attempt of a call, with its request id and its token. */
  interceptors?: Interceptor[];
  /** In place of the browser's fetch, such as one that sends cookies. */
  fetch?: typeof globalThis.fetch;
}

/**
 * Makes a client for browsers. They have no streams of requests: StreamTransfers is not for them.
 *
 * @param url - Where the service listens for HTTP, such as "https://balance.example.com".
 * @param options - How the client calls.
 */
export function createWebClient(url: string, options: WebOptions = {}): BalanceClient {
  const { protocol = "grpc-web", interceptors = [], fetch, ...rest } = options;
  const create = protocol === "connect" ? createConnectTransport : createGrpcWebTransport;
  const transport = create({
    baseUrl: url,
    useBinaryFormat: true,
    interceptors,
    ...(fetch && { fetch }),
  });
  return createBalanceClient(transport, rest);
}
