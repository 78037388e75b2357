"""Signs one request with PyPI's http-message-signatures, a stranger's implementation of RFC 9421 and RFC 9530.

Reads a job from stdin and prints the headers to send, both JSON objects. The job:

    method, url     as they will be sent
    headers         those that go along; a `date` or `idempotency-key` among them is covered
    body            text, or null for none; its Content-Digest (SHA-256) is made by the library
    keyid, keyPem   the client id and its private key, PKCS#8 PEM
    algorithm       ed25519, rsa-v1_5-sha256, rsa-pss-sha512 or ecdsa-p256-sha256: the library has all four
    style           "target-uri" or "authority-path-query"
    created, nonce  optional: Unix seconds (default now) and a string
"""

import datetime
import json
import sys
from urllib.parse import urlsplit

import requests
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver, algorithms

ALGORITHMS = {
    "ed25519": algorithms.ED25519,
    "rsa-v1_5-sha256": algorithms.RSA_V1_5_SHA256,
    "rsa-pss-sha512": algorithms.RSA_PSS_SHA512,
    "ecdsa-p256-sha256": algorithms.ECDSA_P256_SHA256,
}


def covered(job: dict) -> list[str]:
    """The components BEEM asks for; the library adds content-digest by itself when there is a body."""
    if job["style"] == "target-uri":
        target = ["@target-uri"]
    else:
        target = ["@authority", "@path"] + (["@query"] if urlsplit(job["url"]).query else [])
    sent = {name.lower() for name in job["headers"]}
    return ["@method", *target, *(name for name in ("date", "idempotency-key") if name in sent)]


def main() -> None:
    job = json.load(sys.stdin)
    body = None if job.get("body") is None else job["body"].encode()
    created = job.get("created")
    request = requests.Request(job["method"], job["url"], headers=job["headers"], data=body).prepare()
    signer = HTTPMessageSigner(
        signature_algorithm=ALGORITHMS[job["algorithm"]],
        key_resolver=MappingKeyResolver(public_keys={}, private_keys={job["keyid"]: job["keyPem"].encode()}),
    )
    signer.sign(
        request,
        key_id=job["keyid"],
        created=None if created is None else datetime.datetime.fromtimestamp(created, datetime.timezone.utc),
        nonce=job.get("nonce"),
        covered_component_ids=covered(job),
        body=body,
    )
    # Content-Length is the sender's own business.
    json.dump({name: value for name, value in request.headers.items() if name.lower() != "content-length"}, sys.stdout)


if __name__ == "__main__":
    main()
