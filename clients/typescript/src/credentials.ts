import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError } from "@connectrpc/connect";

import type { AuthService, Token } from "./_generated/v1.js";
import { type BalanceError, failed, passes } from "./errors.js";
import { pauseMs, retryPolicy } from "./policy.js";
import { sleep, within } from "./time.js";

// An attempt to sign in is given up after this long, to be made again. One to refresh is given
// longer, for an answer that is not waited for is lost.
const SIGN_IN_MS = 10_000;
const REFRESH_MS = 30_000;
// How long a call waits for a new access token while the old one is still good.
const PATIENCE_MS = 2_000;
// An access token is renewed this long before its life is over, or a quarter of its life.
const RENEW_BEFORE_MS = 30_000;
const UNCERTAIN = new Set([
  Code.Aborted,
  Code.Canceled,
  Code.DeadlineExceeded,
  Code.Internal,
  Code.Unavailable,
  Code.Unknown,
]);

type Auth = Client<typeof AuthService>;

/** Gives access tokens, for any number of clients and of calls at once. */
export interface Credentials {
  /**
   * An access token that has some life left.
   *
   * @param auth - Whom to ask for one.
   * @param timeoutMs - How long the call that needs it may wait.
   * @param signal - Ends the call.
   */
  token(auth: Auth, timeoutMs: number, signal?: AbortSignal): Promise<string>;
  /** Is told of a token that the service has refused, and says whether there may be another. */
  refused(token: string): boolean;
}

/** A token that was got elsewhere, and is not renewed. */
export function accessToken(token: string): Credentials {
  return { token: async () => token, refused: () => false };
}

/** A sibling service's client id and secret. */
export function serviceCredentials(clientId: string, clientSecret: string): Credentials {
  const request = { clientId, clientSecret };
  return new Renewing((auth) => auth.createToken(request, { timeoutMs: SIGN_IN_MS }));
}

/**
 * The tokens of a user's sign-in.
 *
 * A refresh token works once, and is sent by one renewal at a time. When the answer to it is lost,
 * the service may have spent it, and takes its repetition for theft. It is sent again all the same,
 * for without it the sign-in is lost anyway; if the service then refuses it, every call from there on
 * throws REFRESH_TOKEN_INVALID: the user must sign in again.
 *
 * @param signIn - What createToken answered, or the last that was kept.
 * @param keep - Called with each new token; whoever stores the token must store the new one. One
 *   sign-in is for one page or process: two that hold the same refresh token end it.
 */
export function userCredentials(signIn: Token, keep?: (token: Token) => void): Credentials {
  let refreshToken = signIn.refreshToken;
  let ended: BalanceError | undefined;
  let unanswered: BalanceError | undefined;
  const ask = async (auth: Auth): Promise<Token> => {
    if (ended) {
      throw ended;
    }
    if (!refreshToken) {
      const text = "The access token is over, and there is no refresh token. Sign in again.";
      throw failed(new ConnectError(text, Code.Unauthenticated));
    }
    let token: Token;
    try {
      token = await auth.refreshToken({ refreshToken }, { timeoutMs: REFRESH_MS });
    } catch (failure) {
      const error = failed(failure);
      if (UNCERTAIN.has(error.code)) {
        unanswered = error;
      } else if (error.code === Code.Unauthenticated) {
        error.cause = unanswered;
        ended = error;
      }
      throw error;
    }
    refreshToken = token.refreshToken;
    unanswered = undefined;
    keep?.(token);
    return token;
  };
  // How much of its life is left, only the wall clock can tell; if it is wrong, the token is renewed
  // too soon or after a refusal, once.
  const left = signIn.expireTime ? timestampDate(signIn.expireTime).getTime() - Date.now() : 0;
  const life = signIn.expiresInSeconds * 1000 || left;
  return new Renewing(ask, living(signIn, performance.now(), left, life));
}

interface AccessToken {
  text: string;
  /** On the monotonic clock, as expiresAt: the wall clock may be wrong. */
  renewAt: number;
  expiresAt: number;
}

function living(token: Token, start: number, left: number, life: number): AccessToken {
  const before = Math.min(RENEW_BEFORE_MS, life / 4);
  return { text: token.token, renewAt: start + left - before, expiresAt: start + left };
}

/**
 * Asks for a token once for all the calls that need one. A renewal is one attempt, and belongs to no
 * call: it goes on when the calls that wait for it are cancelled, and the next ones find its result.
 * If it fails for a passing cause, the calls that still wait begin the next.
 */
class Renewing implements Credentials {
  private renewal: Promise<AccessToken> | undefined;

  constructor(
    private readonly ask: (auth: Auth) => Promise<Token>,
    private known: AccessToken | undefined = undefined,
  ) {}

  async token(auth: Auth, timeoutMs: number, signal?: AbortSignal): Promise<string> {
    const end = performance.now() + timeoutMs;
    for (let made = 1; ; made++) {
      const old = this.known;
      if (old && performance.now() < old.renewAt) {
        return old.text;
      }
      const good = old && performance.now() < old.expiresAt;
      const left = end - performance.now();
      try {
        const wait = good ? Math.min(PATIENCE_MS, left / 2) : left;
        return (await within(this.join(auth), wait, signal)).text;
      } catch (failure) {
        const error = failed(failure);
        if (old && good && !signal?.aborted) {
          return old.text;
        }
        const pause = pauseMs(retryPolicy, made, error);
        const later = passes(error) || error.code === Code.DeadlineExceeded;
        if (!later || signal?.aborted || pause >= end - performance.now()) {
          throw error;
        }
        await sleep(pause, signal);
      }
    }
  }

  refused(text: string): boolean {
    if (this.known?.text === text) {
      this.known = undefined;
    }
    return true;
  }

  private join(auth: Auth): Promise<AccessToken> {
    if (!this.renewal) {
      this.renewal = this.renew(auth).finally(() => {
        this.renewal = undefined;
      });
      // Whoever waits is told of a failure, if anybody still does.
      this.renewal.catch(() => {});
    }
    return this.renewal;
  }

  private async renew(auth: Auth): Promise<AccessToken> {
    const asked = performance.now();
    const token = await this.ask(auth);
    const life = token.expiresInSeconds * 1000 || Infinity;
    this.known = living(token, asked, life, life);
    return this.known;
  }
}
