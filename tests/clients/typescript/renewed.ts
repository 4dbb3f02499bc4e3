/** Begins a stream with a token that the service refuses, and prints its first answer. */

import { createNodeClient, newRequestId, serviceCredentials } from "balance-ledger-client/node";

const { TARGET = "", SECRET = "", ANNA: anna = "", BORIS: boris = "", KIND } = process.env;
const balance = createNodeClient(TARGET, { credentials: serviceCredentials("billing", SECRET) });

async function* requests() {
  yield { fromAccount: anna, toAccount: boris, amount: "1", requestId: newRequestId() };
}

if (KIND === "watch") {
  for await (const account of balance.accounts.watchAccount({ account: anna })) {
    console.log(account.balance);
    break;
  }
} else {
  for await (const { outcome } of balance.transfers.streamTransfers(requests())) {
    console.log(outcome.case === "transfer" ? outcome.value.balance : outcome.case);
  }
}
balance.close();
