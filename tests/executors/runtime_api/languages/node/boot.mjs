// A small runtime for Node: the loop of Lambda's Runtime API, and handlers that may stream.
import http from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true });

function open(method, what, headers, done) {
  const options = { host, port, method, path: `/2018-06-01/runtime/${what}`, headers, agent };
  return http.request(options, (answer) => {
    const pieces = [];
    answer.on("data", (piece) => pieces.push(piece));
    answer.on("end", () => done({ ...answer, headers: answer.headers, body: Buffer.concat(pieces) }));
  });
}

const call = (method, what, body = "", headers = {}) =>
  new Promise((done, failed) => open(method, what, headers, done).on("error", failed).end(body));

const told = (error) =>
  JSON.stringify({ errorType: error.name, errorMessage: error.message, trace: [String(error.stack).split("\n")[0]] });

const stream = (what, pieces) =>
  new Promise(async (done, failed) => {
    const headers = {
      "Lambda-Runtime-Function-Response-Mode": "streaming",
      "Transfer-Encoding": "chunked",
      Trailer: "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
    };
    const request = open("POST", what, headers, done).on("error", failed);
    try {
      for await (const piece of pieces) request.write(piece);
    } catch (error) {
      request.addTrailers({
        "Lambda-Runtime-Function-Error-Type": `Function.${error.name}`,
        "Lambda-Runtime-Function-Error-Body": Buffer.from(told(error)).toString("base64"),
      });
    }
    request.end();
  });

let handler;
try {
  const [file, name] = process.env._HANDLER.split(".");
  const module = await import(pathToFileURL(path.join(process.env.LAMBDA_TASK_ROOT, `${file}.mjs`)));
  handler = module[name];
  if (!handler) throw new Error(`${process.env._HANDLER} is undefined or not exported`);
} catch (error) {
  await call("POST", "init/error", told(error), { "Lambda-Runtime-Function-Error-Type": "Runtime.HandlerNotFound" });
  process.exit(1);
}

for (;;) {
  const { headers, body } = await call("GET", "invocation/next");
  const id = headers["lambda-runtime-aws-request-id"];
  try {
    const context = { awsRequestId: id, deadlineMs: Number(headers["lambda-runtime-deadline-ms"]) };
    const result = await handler(JSON.parse(body), context);
    if (result?.[Symbol.asyncIterator]) await stream(`invocation/${id}/response`, result);
    else await call("POST", `invocation/${id}/response`, JSON.stringify(result ?? null));
  } catch (error) {
    await call("POST", `invocation/${id}/error`, told(error));
  }
}
