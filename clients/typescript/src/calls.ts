import type {
  DescMessage,
  DescMethodUnary,
  MessageInitShape,
} from "@bufbuild/protobuf";
import {
  Code,
  type ContextValues,
  type Transport,
  type UnaryResponse,
} from "@connectrpc/connect";

import { type Caller, Entry } from "./entry.js";
import { type BalanceError, failed } from "./errors.js";
import { mayFollow, pauseMs, repeatable } from "./policy.js";
import { withRequestId } from "./request_id.js";
import { stream } from "./streams.js";
import { CallTime, sleep } from "./time.js";

// Node.js's errors of a connection that was never made.
const UNCONNECTED = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN"]);

/**
 * A transport whose calls have their time, their request ids and their tokens, and are repeated where
 * that is safe.
 */
export function calling(inner: Transport, caller: Caller): Transport {
  return {
    unary: (...call) => unary(inner, caller, ...call),
    stream: (...call) => stream(inner, caller, ...call),
  };
}

async function unary<I extends DescMessage, O extends DescMessage>(
  inner: Transport,
  caller: Caller,
  method: DescMethodUnary<I, O>,
  signal: AbortSignal | undefined,
  timeoutMs: number | undefined,
  header: HeadersInit | undefined,
  input: MessageInitShape<I>,
  contextValues?: ContextValues,
): Promise<UnaryResponse<I, O>> {
  const { policy } = caller;
  const message = withRequestId(method.input, input);
  const again = repeatable(method.parent.typeName, method.name, message);
  const time = new CallTime(timeoutMs ?? policy.timeoutMs);
  const entry = new Entry(caller, header);
  let sent = 0;
  for (let made = 1; ; made++) {
    const headers = await entry.headers(time.leftMs, signal);
    try {
      // `init` is what Connect calls a message, too.
      const init = message as MessageInitShape<I>;
      return await inner.unary(method, signal, time.timeoutMs, headers, init, contextValues);
    } catch (failure) {
      const error = failed(failure);
      if (signal?.aborted) {
        throw error;
      }
      if (entry.renews(error)) {
        continue;
      }
      // A connection is waited for: the time is limited, and nothing is sent without one.
      const waits = unconnected(error) || (again && mayFollow(policy, ++sent, error));
      const pause = pauseMs(policy, made, error);
      if (!waits || pause >= time.leftMs) {
        throw error;
      }
      await sleep(pause, signal);
    }
  }
}

function unconnected(error: BalanceError): boolean {
  const cause = error.cause as { code?: string } | undefined;
  return error.code === Code.Unavailable && UNCONNECTED.has(cause?.code ?? "");
}
