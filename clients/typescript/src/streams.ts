import type { DescMessage, DescMethodStreaming, MessageInitShape } from "@bufbuild/protobuf";
import type { ContextValues, StreamResponse, Transport } from "@connectrpc/connect";

import { type Caller, Entry } from "./entry.js";
import { failed } from "./errors.js";

/**
 * Begins a stream. It is not repeated, for its caller alone knows from where; but if the service
 * refuses its token before the first answer, it is begun again with another.
 */
export async function stream<I extends DescMessage, O extends DescMessage>(
  inner: Transport,
  caller: Caller,
  method: DescMethodStreaming<I, O>,
  signal: AbortSignal | undefined,
  timeoutMs: number | undefined,
  header: HeadersInit | undefined,
  input: AsyncIterable<MessageInitShape<I>>,
  contextValues?: ContextValues,
): Promise<StreamResponse<I, O>> {
  const entry = new Entry(caller, header);
  const requests = new Requests(input);
  for (;;) {
    const headers = await entry.headers(caller.policy.timeoutMs, signal);
    try {
      const asked = requests.fromTheFirst();
      const answered = await inner.stream(method, signal, timeoutMs, headers, asked, contextValues);
      const answers = answered.message[Symbol.asyncIterator]();
      const first = await answers.next();
      requests.settle();
      return { ...answered, message: told(first, answers) };
    } catch (failure) {
      const error = failed(failure);
      if (signal?.aborted || !entry.renews(error)) {
        throw error;
      }
    }
  }
}

/** The answers of a stream, whose failure is a BalanceError. */
async function* told<Answer>(
  first: IteratorResult<Answer>,
  answers: AsyncIterator<Answer>,
): AsyncGenerator<Answer> {
  try {
    for (let next = first; !next.done; next = await answers.next()) {
      yield next.value;
    }
  } catch (failure) {
    throw failed(failure);
  }
}

/**
 * A stream's requests, which can be sent from the first again until it is answered. A call that has
 * ended may still be waiting for the next request; what it gets is for its successor.
 */
class Requests<Request> {
  private readonly source: AsyncIterator<Request>;
  private readonly kept: Request[] = [];
  private pulling: Promise<void> | undefined;
  private ended = false;
  private settled = false;
  private calls = 0;

  constructor(requests: AsyncIterable<Request>) {
    this.source = requests[Symbol.asyncIterator]();
  }

  /** All requests, for a new call. */
  async *fromTheFirst(): AsyncGenerator<Request> {
    const call = ++this.calls;
    for (let position = 0; ; ) {
      while (position < this.kept.length) {
        const request = this.kept[position]!;
        if (this.settled) {
          this.kept.splice(0, position + 1);
          position = 0;
        } else {
          position++;
        }
        yield request;
      }
      if (this.ended) {
        return;
      }
      await this.pull();
      if (call !== this.calls) {
        return;
      }
    }
  }

  /** There will be no other call, so that requests need not be kept. */
  settle(): void {
    this.settled = true;
  }

  private pull(): Promise<void> {
    this.pulling ??= this.source
      .next()
      .then((next) => {
        if (next.done) {
          this.ended = true;
        } else {
          this.kept.push(next.value);
        }
      })
      .finally(() => {
        this.pulling = undefined;
      });
    return this.pulling;
  }
}
