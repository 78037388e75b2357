"""A receiver of webhooks that a stranger could have written: it knows a hook's keys as the API shows them, and nothing else
of BEEM. Each POST is verified three ways: by PyPI's standardwebhooks (the secret), by cryptography's RSA (x-signature) and
by its Ed25519 (the v1a signatures). What verifies is answered 204, anything else 400.

The first line of stdin is a JSON object:

    secrets           "whsec_…" texts, any of which may verify
    publicKeys        PEM texts, any of which may verify x-signature
    signingPublicKeys "whpk_…" texts, any of which may verify a v1a signature
    schemas           optional: event type to JSON Schema; the body must be what its schema says

It prints {"port": …} when it listens, and a line for each POST: {"verified": true, "event": …, "eventId": …,
"sequence": …} or {"verified": false, "why": …}. A further line on stdin replaces the keys.
"""

import base64
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jsonschema
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def any_of(candidates, verify, failures) -> bool:
    for candidate in candidates:
        try:
            verify(candidate)
            return True
        except failures:
            continue
    return False


class Keys:
    def __init__(self, job: dict) -> None:
        self.secrets = job["secrets"]
        self.rsa = [load_pem_public_key(pem.encode()) for pem in job["publicKeys"]]
        self.ed25519 = [
            Ed25519PublicKey.from_public_bytes(base64.b64decode(text.removeprefix("whpk_")))
            for text in job["signingPublicKeys"]
        ]
        self.schemas = job.get("schemas", {})

    def why_not(self, headers: dict, body: bytes) -> str | None:
        """What does not verify, if anything."""
        if not any_of(self.secrets, lambda s: Webhook(s).verify(body, headers), WebhookVerificationError):
            return "webhook-signature v1"
        signature = base64.b64decode(headers["x-signature"], validate=True)
        rsa = lambda key: key.verify(signature, body, padding.PKCS1v15(), hashes.SHA256())
        if not any_of(self.rsa, rsa, InvalidSignature):
            return "x-signature"
        signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
        v1a = [
            base64.b64decode(part.removeprefix("v1a,"))
            for part in headers["webhook-signature"].split(" ")
            if part.startswith("v1a,")
        ]
        pairs = [(key, signature) for key in self.ed25519 for signature in v1a]
        if not any_of(pairs, lambda pair: pair[0].verify(pair[1], signed), InvalidSignature):
            return "webhook-signature v1a"
        event = json.loads(body)
        if event["eventId"] != headers["webhook-id"]:
            return "webhook-id"
        schema = self.schemas.get(event["event"])
        if schema is not None:
            jsonschema.validate(event, schema, cls=jsonschema.Draft202012Validator)
        return None


def say(line: dict) -> None:
    print(json.dumps(line), flush=True)


def main() -> None:
    keys = [Keys(json.loads(sys.stdin.readline()))]

    class Receiver(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            try:
                why = keys[0].why_not({k.lower(): v for k, v in self.headers.items()}, body)
            except Exception as error:  # a receiver answers, whatever is wrong with a request
                why = repr(error)
            if why is None:
                event = json.loads(body)
                say({"verified": True, **{name: event[name] for name in ("event", "eventId", "sequence")}})
            else:
                say({"verified": False, "why": why})
            self.send_response(204 if why is None else 400)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_args) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    say({"port": server.server_address[1]})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for line in sys.stdin:
        keys[0] = Keys(json.loads(line))
        say({"keys": len(keys[0].secrets)})


main()
