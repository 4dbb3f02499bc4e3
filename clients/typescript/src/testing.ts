/** A real balance service for tests, in Node.js: `balance-service run --ephemeral`. */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

import { createNodeClient, type NodeClient, serviceCredentials, type v1 } from "./node.js";

const COMMAND = "BALANCE_SERVICE_COMMAND";
const PROGRAM = "balance-service";
const STOPS_IN_MS = 30_000;
const MAIL_COMES_IN_MS = 5_000;

/** There is no balance service here to start. */
export class NotInstalled extends Error {
  override name = "NotInstalled";

  constructor() {
    super(
      `${PROGRAM} is not in PATH: pip install 'balance-ledger-service[embedded]', ` +
        `or say in ${COMMAND} how to start it`,
    );
  }
}

/** A service that runs, with a database of its own. */
export interface EphemeralService {
  /** The URL that `createNodeClient` takes. */
  url: string;
  /** The base URL of JSON over HTTP. */
  http: string;
  /** Of a sibling service that may do everything. */
  clientId: string;
  clientSecret: string;
  /** The access token of an admin. */
  adminToken: string;
  /** The file in which confirmation codes arrive. */
  mailbox: string;
  /** Calls as the sibling service; whoever asked for it closes it. */
  client(): NodeClient;
  /** Signs somebody in, creating them if need be, with the code that was sent to them. */
  signIn(email: string): Promise<v1.Token>;
  /** Ends the service, and deletes what it kept. */
  stop(): Promise<void>;
}

/**
 * Starts a service, which ends with this process at the latest.
 *
 * @param settings - Of the service's environment, such as `{ BALANCE_ACCESS_TOKEN_SECONDS: "60" }`.
 * @throws NotInstalled if there is none here.
 */
export async function startService(settings: Record<string, string> = {}): Promise<EphemeralService> {
  const [program = "", ...words] = findCommand();
  const kept = Object.entries(process.env).filter(([name]) => !/^BALANCE_/i.test(name));
  const child = spawn(program, [...words, "run", "--ephemeral", "--until-stdin-closes"], {
    env: { ...Object.fromEntries(kept), ...settings },
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const line = await firstLine(child);
  if (line === undefined) {
    throw new Error(`${PROGRAM} did not start: ${said.trim()}`);
  }
  const told = JSON.parse(line);
  const url = `http://${told.grpc}`;
  const credentials = serviceCredentials(told.client_id, told.client_secret);
  return {
    url,
    http: told.http,
    clientId: told.client_id,
    clientSecret: told.client_secret,
    adminToken: told.admin_token,
    mailbox: told.mailbox,
    client: () => createNodeClient(url, { credentials }),
    signIn: (email) => signIn(url, told.mailbox, email),
    stop: () => stop(child),
  };
}

function findCommand(): string[] {
  const given = process.env[COMMAND]?.split(/\s+/).filter(Boolean) ?? [];
  if (given.length > 0) {
    return given;
  }
  const folders = process.env["PATH"]?.split(delimiter) ?? [];
  const found = folders.map((folder) => join(folder, PROGRAM)).find((path) => existsSync(path));
  if (found === undefined) {
    throw new NotInstalled();
  }
  return [found];
}

/** The line that says where the service is; undefined if it ended before. */
function firstLine(child: ChildProcessWithoutNullStreams): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    const lines = createInterface(child.stdout);
    lines.once("line", resolve);
    lines.once("close", () => resolve(undefined));
  });
}

async function stop(child: ChildProcessWithoutNullStreams): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) {
    return;
  }
  const ended = new Promise((resolve) => child.once("close", resolve));
  child.stdin.end();
  const killing = setTimeout(() => child.kill("SIGKILL"), STOPS_IN_MS);
  await ended;
  clearTimeout(killing);
}

async function signIn(url: string, mailbox: string, email: string): Promise<v1.Token> {
  const anybody = createNodeClient(url);
  try {
    const earlier = readCodes(mailbox, email).length;
    const sent = await anybody.auth.sendConfirmationCode({ email });
    for (const end = Date.now() + MAIL_COMES_IN_MS; Date.now() < end; await sleep(10)) {
      const codes = readCodes(mailbox, email);
      if (codes.length > earlier) {
        const confirmationCode = codes.at(-1) ?? "";
        return await anybody.auth.createToken({
          verificationId: sent.verificationId,
          confirmationCode,
        });
      }
    }
    throw new Error(`no code for ${email} came to ${mailbox}`);
  } finally {
    anybody.close();
  }
}

function readCodes(mailbox: string, email: string): string[] {
  const text = existsSync(mailbox) ? readFileSync(mailbox, "utf8") : "";
  const mails = text.split(/^To: /m).filter((mail) => mail.startsWith(`${email}\n`));
  return mails.flatMap((mail) => /code is (\d+)/.exec(mail)?.[1] ?? []);
}
