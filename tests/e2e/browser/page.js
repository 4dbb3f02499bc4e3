// What a page does with the service, by each of the clients that there are for browsers: a call, a
// stream and a refusal. `test_browser.py` bundles this file and calls `speak`.
import { create, createFileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { GrpcWebClientBase, MethodDescriptor, MethodType } from "grpc-web";

const TRANSPORTS = { connect: createConnectTransport, "grpc-web": createGrpcWebTransport };

// The answers of a client: "connect" or "grpc-web" of connect-web, or "google" for grpc-web.
window.speak = async (client, contract, url, token, account) => {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, base64Decode(contract)));
  const ask = client === "google" ? google(registry, url) : connect(registry, client, url);
  const headers = { authorization: `Bearer ${token}` };
  return {
    balance: (await ask.one({ account }, headers)).balance,
    watched: (await ask.first({ account }, headers)).balance,
    refusals: [
      await ask.refusal(() => ask.one({ account: "?" }, headers)),
      await ask.refusal(() => ask.first({ account: "?" }, headers)),
    ],
  };
};

function connect(registry, protocol, baseUrl) {
  const transport = TRANSPORTS[protocol]({ baseUrl });
  const accounts = createClient(registry.getService("balance.v1.AccountService"), transport);
  return {
    one: (request, headers) => accounts.getAccount(request, { headers }),
    first: async (request, headers) => {
      for await (const answer of accounts.watchAccount(request, { headers })) return answer;
    },
    refusal: (call) => caught(call, (error) => ({
      code: error.code,
      reason: error.findDetails(registry.getMessage("google.rpc.ErrorInfo"))[0].reason,
      fields: error
        .findDetails(registry.getMessage("google.rpc.BadRequest"))[0]
        .fieldViolations.map((violation) => violation.field),
    })),
  };
}

function google(registry, url) {
  const [client, service] = [new GrpcWebClientBase({}), "balance.v1.AccountService"];
  const described = (name, type) => {
    const method = registry.getService(service).methods.find((each) => each.name === name);
    return new MethodDescriptor(
      `/${service}/${name}`, type, Object, Object,
      (request) => toBinary(method.input, create(method.input, request)),
      (bytes) => fromBinary(method.output, bytes),
    );
  };
  const [get, watch] = [
    described("GetAccount", MethodType.UNARY), described("WatchAccount", MethodType.SERVER_STREAMING),
  ];
  return {
    one: (request, headers) =>
      client.thenableCall(`${url}/${service}/GetAccount`, request, headers, get),
    first: (request, headers) => new Promise((resolve, reject) => {
      const path = `${url}/${service}/WatchAccount`;
      const answers = client.serverStreaming(path, request, headers, watch);
      answers.on("data", (answer) => { answers.cancel(); resolve(answer); });
      answers.on("error", reject);
    }),
    refusal: (call) => caught(call, (error) => {
      const kind = (name) => registry.getMessage(`google.rpc.${name}`);
      const packed = base64Decode(error.metadata["grpc-status-details-bin"]);
      const { details } = fromBinary(kind("Status"), packed);
      const read = (name) =>
        fromBinary(kind(name), details.find((any) => any.typeUrl.endsWith(`.${name}`)).value);
      const fields = read("BadRequest").fieldViolations.map((violation) => violation.field);
      return { code: error.code, reason: read("ErrorInfo").reason, fields };
    }),
  };
}

async function caught(call, describe) {
  try {
    await call();
  } catch (error) {
    return describe(error);
  }
  throw new Error("the call was not refused");
}
