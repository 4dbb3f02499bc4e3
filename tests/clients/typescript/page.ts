/** Calls a service as a page does, by both protocols that its Envoy speaks with browsers. */

import { accessToken, BalanceError, createWebClient, each } from "balance-ledger-client/web";

/** What each of two protocols did. */
export async function speak(url: string, token: string, account: string): Promise<string[]> {
  const said: string[] = [];
  for (const protocol of ["grpc-web", "connect"] as const) {
    said.push(`${protocol} ${await speakBy(protocol, url, token, account)}`);
  }
  return said;
}

async function speakBy(
  protocol: "grpc-web" | "connect",
  url: string,
  token: string,
  account: string,
): Promise<string> {
  const balance = createWebClient(url, { protocol, credentials: accessToken(token) });
  const deposit = await balance.deposits.createDeposit({ account, amount: "1" });
  let reason = "";
  try {
    await balance.withdrawals.createWithdrawal({ account, amount: "100000" });
  } catch (error) {
    reason = error instanceof BalanceError ? `${error.reason} ${error.facts["missing"]}` : `${error}`;
  }
  let watched = "";
  for await (const found of balance.accounts.watchAccount({ account })) {
    watched = found.balance;
    break;
  }
  let count = 0;
  for await (const _ of each(balance.accounts.listEntries, { account }, (page) => page.entries)) {
    count++;
  }
  return `${deposit.balance} ${reason} ${watched} ${count}`;
}
