/** Calls a service in every way that gRPC has, and prints how each call ended. */

import { readFileSync } from "node:fs";

import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import {
  BalanceError,
  createNodeClient,
  each,
  freshness,
  newRequestId,
  refusalOf,
  serviceCredentials,
  v1,
} from "balance-ledger-client/node";

const CROWD = 50;
const TRANSFERS = 300;
const { TARGET = "", SECRET = "", ANNA: anna = "", BORIS: boris = "", CA } = process.env;

let lastId = "";
const seen: Interceptor = (next) => (request) => {
  if (!request.stream && request.method.name === "CreateDeposit") {
    lastId = (request.message as v1.CreateDepositRequest).requestId;
  }
  return next(request);
};
const balance = createNodeClient(TARGET, {
  credentials: serviceCredentials("billing", SECRET),
  language: "ru",
  interceptors: [seen],
  ...(CA && { nodeOptions: { ca: readFileSync(CA) } }),
});

const read = async () => (await balance.accounts.getAccount({ account: anna })).balance;

// Many calls at once get in with one token.
const balances = await Promise.all(Array.from({ length: CROWD }, read));
console.log("together", balances.length, balances.at(-1));

// A call without a request id gets one, and the same id moves money once.
await balance.deposits.createDeposit({ account: anna, amount: "1" });
let replayed = "";
const again = { account: anna, amount: "1", requestId: lastId };
const deposit = await balance.deposits.createDeposit(again, {
  onTrailer: (trailer) => (replayed = trailer.get("idempotency-replayed") ?? ""),
});
console.log("repeated", lastId.length, deposit.balance, replayed);

const watching = balance.accounts.watchAccount({ account: anna })[Symbol.asyncIterator]();
const first = await watching.next();
await balance.deposits.createDeposit({ account: anna, amount: "1" });
const second = await watching.next();
await watching.return?.();
console.log("watched", first.value.balance, second.value.balance);

async function* transfers() {
  for (let number = 0; number <= TRANSFERS; number++) {
    const amount = number === TRANSFERS ? "100000" : "0.01";
    yield { fromAccount: anna, toAccount: boris, amount, requestId: newRequestId() };
  }
}
let made = 0;
let refusal: BalanceError | undefined;
for await (const { outcome } of balance.transfers.streamTransfers(transfers())) {
  if (outcome.case === "transfer") {
    made++;
  } else if (outcome.case === "error") {
    refusal = refusalOf(outcome.value);
  }
}
console.log("streamed", made, refusal?.reason, await read());

try {
  await balance.accounts.getAccount({ account: "?" });
} catch (error) {
  if (!(error instanceof BalanceError && error instanceof ConnectError)) {
    throw error;
  }
  const translated = error.localizedMessage !== error.rawMessage;
  console.log("refused", Code[error.code], error.reason, error.violations[0]?.field, translated);
}

async function endOf(options: { timeoutMs?: number; signal?: AbortSignal }, then = () => {}) {
  try {
    for await (const _ of balance.accounts.watchAccount({ account: anna }, options)) {
      then();
    }
  } catch (error) {
    return error instanceof BalanceError ? Code[error.code] : error;
  }
  return "no end";
}
console.log("deadline", await endOf({ timeoutMs: 300 }));
const controller = new AbortController();
console.log("cancelled", await endOf({ signal: controller.signal }, () => controller.abort()));

let count = 0;
const statement = { account: anna, pageSize: 100 };
for await (const _ of each(balance.accounts.listEntries, statement, (page) => page.entries)) {
  count++;
}
console.log("paged", count);

// What may be old but shows a movement, and then what the answer showed.
const last = await balance.deposits.createDeposit({ account: anna, amount: "1" });
let told = freshness.read(new Headers());
for (const seen of [() => last.id, () => told.position]) {
  const headers = freshness.ask({ maxStalenessMs: 1500, atLeast: [seen()] });
  const onTrailer = (trailer: Headers) => (told = freshness.read(trailer));
  const account = await balance.accounts.getAccount({ account: anna }, { headers, onTrailer });
  console.log("fresh", account.balance, told.standby, told.asOf, told.position !== "");
}
const trailer = { "balance-read-from": "standby", "balance-as-of": "2026-11-29T07:00:00.123Z" };
const { standby, asOf, position } = freshness.read(new Headers(trailer));
console.log("told", standby, asOf?.toISOString(), position);
balance.close();
