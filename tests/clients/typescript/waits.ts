/** Makes a call that needs no token, which has to wait for a connection. */

import { createNodeClient } from "balance-ledger-client/node";

const balance = createNodeClient(process.env["TARGET"] ?? "");
const { services } = await balance.purchases.listServices({});
console.log("found", services.length);
balance.close();
