/** Calls with a user's sign-in whose access token has expired, and then with its refresh token once more. */

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { BalanceError, createNodeClient, userCredentials, v1 } from "balance-ledger-client/node";

const { TARGET = "", TOKEN: token = "", REFRESH: refreshToken = "" } = process.env;
const signIn = create(v1.TokenSchema, {
  token,
  refreshToken,
  expiresInSeconds: 600,
  expireTime: timestampFromMs(Date.now() + 600_000),
});

let kept = 0;
const balance = createNodeClient(TARGET, { credentials: userCredentials(signIn, () => kept++) });
await Promise.all(Array.from({ length: 20 }, () => balance.users.getMe({})));
console.log("kept", kept);
balance.close();

const second = createNodeClient(TARGET, { credentials: userCredentials(signIn) });
for (let call = 0; call < 2; call++) {
  try {
    await second.users.getMe({});
  } catch (error) {
    console.log("ended", error instanceof BalanceError ? error.reason : error);
  }
}
second.close();
