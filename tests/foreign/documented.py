"""A signer written from BEEM's documented shape alone, with nothing but a crypto library, as an integrator would write it:

    label sig; ("@method" "@target-uri" "content-digest" "date");created=…;keyid="…";alg="rsa-v1_5-sha256",
    without "content-digest" on a request without a body.

Reads the same job as sign.py (`style` and `nonce` have no meaning here) and prints the headers to send. The documented
algorithm is rsa-v1_5-sha256; ed25519, the kind of key BEEM makes by itself, is signed alike. An `idempotency-key` is covered
when sent, as the contract asks.
"""

import base64
import hashlib
import json
import sys
import time
from email.utils import formatdate

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

SCHEMES = {"rsa-v1_5-sha256": (padding.PKCS1v15(), SHA256()), "ed25519": ()}


def sign(job: dict) -> dict:
    """The ten lines."""
    created = job.get("created") or int(time.time())
    headers = {name.lower(): value for name, value in job["headers"].items()} | {"date": formatdate(created, usegmt=True)}
    if job.get("body") is not None:
        digest = hashlib.sha256(job["body"].encode()).digest()
        headers["content-digest"] = f"sha-256=:{base64.b64encode(digest).decode()}:"
    values = {"@method": job["method"], "@target-uri": job["url"]} | {
        name: headers[name] for name in ("content-digest", "date", "idempotency-key") if name in headers
    }
    params = f'({" ".join(json.dumps(name) for name in values)});created={created};keyid="{job["keyid"]}";alg="{job["algorithm"]}"'
    base = "\n".join([*(f'"{name}": {value}' for name, value in values.items()), f'"@signature-params": {params}'])
    signature = load_pem_private_key(job["keyPem"].encode(), None).sign(base.encode(), *SCHEMES[job["algorithm"]])
    return headers | {"signature-input": f"sig={params}", "signature": f"sig=:{base64.b64encode(signature).decode()}:"}


if __name__ == "__main__":
    json.dump(sign(json.load(sys.stdin)), sys.stdout)
