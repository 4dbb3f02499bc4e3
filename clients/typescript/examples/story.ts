/**
 * Moves money through a running service, as a sibling service does, and prints what happens. Its
 * environment: TARGET, such as http://127.0.0.1:50051, CLIENT_ID, SECRET, and the user ids ANNA and
 * BORIS.
 */

import {
  BalanceError,
  createNodeClient,
  each,
  newRequestId,
  Reason,
  serviceCredentials,
  v1,
} from "balance-ledger-client/node";

const { TARGET = "", CLIENT_ID = "", SECRET = "", ANNA = "", BORIS = "" } = process.env;
const balance = createNodeClient(TARGET, { credentials: serviceCredentials(CLIENT_ID, SECRET) });

const open = async (user: string) =>
  (await balance.accounts.createAccount({ user, currency: "RUB" })).id;
const anna = await open(ANNA);
const boris = await open(BORIS);

// One request is sent twice, as after a lost answer: the second gets the first answer again.
const salary = {
  account: anna,
  amount: "5000",
  description: "Salary",
  requestId: newRequestId(),
};
await balance.deposits.createDeposit(salary);
let replayed = "";
const deposit = await balance.deposits.createDeposit(salary, {
  onTrailer: (trailer) => (replayed = trailer.get("idempotency-replayed") ?? ""),
});
console.log(`deposit ${deposit.amount}: balance ${deposit.balance}, replayed ${replayed}`);

const transfer = await balance.transfers.createTransfer({
  fromAccount: anna,
  toAccount: boris,
  amount: "750.50",
  description: "For the tickets",
});
console.log(`transfer ${transfer.amount}: balance ${transfer.balance}`);

const { services } = await balance.purchases.listServices({ currency: "RUB" });
const purchase = await balance.purchases.createPurchase({
  service: services[0]?.id ?? "",
  account: anna,
});
console.log(`purchase ${purchase.amount}: balance ${purchase.balance}`);
const refund = await balance.purchases.refundPurchase({
  purchase: purchase.id,
  reason: "Changed her mind",
});
console.log(`refund ${refund.amount}: balance ${refund.balance}`);

const hold = await balance.holds.createHold({
  account: anna,
  toAccount: boris,
  amount: "300",
  description: "Deposit for the flat",
});
const { available } = await balance.accounts.getAccount({ account: anna });
console.log(`hold ${hold.amount}: available ${available}`);
const capture = await balance.holds.captureHold({ hold: hold.id, amount: "120" });
console.log(`capture ${capture.amount}: balance ${capture.balance}`);

try {
  await balance.transfers.createTransfer({
    fromAccount: anna,
    toAccount: boris,
    amount: "100000",
  });
  throw new Error("an overdraft was not refused");
} catch (error) {
  if (!(error instanceof BalanceError) || error.reason !== Reason.INSUFFICIENT_FUNDS) {
    throw error;
  }
  console.log(`refused ${error.reason}: missing ${error.facts["missing"]}`);
}

const statement = { account: anna, orderBy: "date", pageSize: 2 };
for await (const entry of each(balance.accounts.listEntries, statement, (page) => page.entries)) {
  const kind = v1.MovementKind[entry.kind].toLowerCase();
  console.log(`${entry.sequence} ${kind} ${entry.amount} ${entry.balanceAfter}`);
}
balance.close();
