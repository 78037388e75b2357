// A receiver of webhooks that a stranger could have written, as receive.py, with npm's standardwebhooks and Node's own
// crypto. The first line of stdin is a JSON object: secrets, publicKeys (PEM), signingPublicKeys ("whpk_…"): any of each
// may verify. Prints {"port"} and a line for each POST; a further line on stdin replaces the keys. Node has no validator of
// JSON Schema of its own: that bodies are what their schemas say is receive.py's to check.
import { createPublicKey, verify } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Webhook } from "standardwebhooks";

let keys;
const say = (line) => console.log(JSON.stringify(line));

// Ed25519 SubjectPublicKeyInfo (RFC 8410) before the 32 bytes of the key.
const SPKI = Buffer.from("302a300506032b6570032100", "hex");

function read(line) {
  const job = JSON.parse(line);
  const ed25519 = (text) =>
    createPublicKey({
      key: Buffer.concat([SPKI, Buffer.from(text.replace(/^whpk_/, ""), "base64")]),
      format: "der",
      type: "spki",
    });
  return {
    secrets: job.secrets.map((secret) => new Webhook(secret)),
    rsa: job.publicKeys.map((pem) => createPublicKey(pem)),
    ed25519: job.signingPublicKeys.map(ed25519),
  };
}

function passes(check) {
  try {
    return check() !== false;
  } catch {
    return false;
  }
}

function whyNot(headers, body) {
  if (!keys.secrets.some((webhook) => passes(() => webhook.verify(body, headers)))) return "webhook-signature v1";
  const signature = Buffer.from(headers["x-signature"], "base64");
  if (!keys.rsa.some((key) => passes(() => verify("sha256", body, key, signature)))) return "x-signature";
  const signed = Buffer.concat([Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`), body]);
  const v1a = headers["webhook-signature"].split(" ").filter((part) => part.startsWith("v1a,"));
  const fits = (key, part) => passes(() => verify(null, signed, key, Buffer.from(part.slice(4), "base64")));
  if (!keys.ed25519.some((key) => v1a.some((part) => fits(key, part)))) return "webhook-signature v1a";
  if (JSON.parse(body).eventId !== headers["webhook-id"]) return "webhook-id";
  return null;
}

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts);
  let why;
  try {
    why = whyNot(request.headers, body);
  } catch (error) {
    why = String(error);
  }
  if (why === null) {
    const { event, eventId, sequence } = JSON.parse(body);
    say({ verified: true, event, eventId, sequence });
  } else {
    say({ verified: false, why });
  }
  response.writeHead(why === null ? 204 : 400, { "content-length": "0" }).end();
});

const lines = createInterface({ input: process.stdin });
lines.on("close", () => process.exit(0));
lines.on("line", (line) => {
  const first = keys === undefined;
  keys = read(line);
  if (first) server.listen(0, "127.0.0.1", () => say({ port: server.address().port }));
  else say({ keys: keys.secrets.length });
});
