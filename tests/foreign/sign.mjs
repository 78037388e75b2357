// Signs one request with npm's http-message-sig, a stranger's implementation of RFC 9421. Reads the same job as sign.py from
// stdin and prints the headers to send.
//
// The library brings its own cryptography for ed25519 and rsa-pss-sha512. For rsa-v1_5-sha256 and ecdsa-p256-sha256 it takes
// a signer from its caller: there the components, the signature base and the headers are the library's and the raw signature
// is WebCrypto's. It has no Content-Digest of its own, so that is node's.

import { createHash, createPrivateKey, webcrypto as node } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSignature, webcrypto } from "http-message-sig";

const ALGORITHMS = {
  "ed25519": { key: { name: "Ed25519" } },
  "rsa-pss-sha512": { key: { name: "RSA-PSS", hash: "SHA-512" } },
  "rsa-v1_5-sha256": { key: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, sign: { name: "RSASSA-PKCS1-v1_5" } },
  "ecdsa-p256-sha256": { key: { name: "ECDSA", namedCurve: "P-256" }, sign: { name: "ECDSA", hash: "SHA-256" } },
};

async function signerFor(algorithm, keyPem) {
  const { key: parameters, sign } = ALGORITHMS[algorithm];
  const der = createPrivateKey(keyPem).export({ type: "pkcs8", format: "der" });
  const key = await node.subtle.importKey("pkcs8", der, parameters, false, ["sign"]);
  if (sign === undefined) return webcrypto.signer(key);
  return { algorithm, sign: async (base) => new Uint8Array(await node.subtle.sign(sign, key, base)) };
}

// The components BEEM asks for.
function covered(job, headers) {
  const query = new URL(job.url).search === "" ? [] : ["@query"];
  const target = job.style === "target-uri" ? ["@target-uri"] : ["@authority", "@path", ...query];
  const fields = ["content-digest", "date", "idempotency-key"].filter((name) => name in headers);
  return ["@method", ...target, ...fields];
}

const job = JSON.parse(readFileSync(0, "utf8"));
const headers = Object.fromEntries(Object.entries(job.headers).map(([name, value]) => [name.toLowerCase(), value]));
if (job.body != null) headers["content-digest"] = `sha-256=:${createHash("sha256").update(job.body).digest("base64")}:`;
const fields = Object.entries(headers).map(([name, value]) => ({ name, value }));
const request = { kind: "request", method: job.method, targetUri: job.url, fields };
const { signature, signatureInput } = await createSignature(request, {
  components: covered(job, headers),
  parameters: {
    created: job.created ?? Math.floor(Date.now() / 1000),
    keyid: job.keyid,
    alg: job.algorithm,
    nonce: job.nonce ?? undefined,
  },
  signer: await signerFor(job.algorithm, job.keyPem),
});
process.stdout.write(JSON.stringify({ ...headers, "signature-input": signatureInput, signature }));
