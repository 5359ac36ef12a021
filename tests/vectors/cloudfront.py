"""Makes cloudfront.json: signed URLs and cookies by an implementation that is not ours (botocore's CloudFrontSigner).

    python3 -m venv venv && venv/bin/pip install botocore cryptography && venv/bin/python cloudfront.py

The keys beside this file are made once and are for nothing but these tests. botocore leaves the hash and the key to a callback,
so SHA-256 and ECDSA go the same way; it adds no Hash-Algorithm, which is appended here as the Developer Guide says.
"""

import base64
import datetime
import json
import pathlib

from botocore.signers import CloudFrontSigner
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

HERE = pathlib.Path(__file__).parent
HASHES = {"SHA1": hashes.SHA1, "SHA256": hashes.SHA256}
KEYS = {"rsa": lambda: rsa.generate_private_key(65537, 2048), "ec": lambda: ec.generate_private_key(ec.SECP256R1())}
# 2100-01-01 and 2001-09-09.
LATE = datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc)
EARLY = datetime.datetime(2001, 9, 9, 1, 46, 40, tzinfo=datetime.timezone.utc)


def key(name):
    path = HERE / f"{name}.pem"
    if not path.exists():
        made = KEYS[name]()
        private = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = made.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        path.write_bytes(private)
        (HERE / f"{name}-public.pem").write_bytes(public)
    return serialization.load_pem_private_key(path.read_bytes(), None)


def signer(name, hash_name):
    private, chosen = key(name), HASHES[hash_name]()
    if name == "rsa":
        return CloudFrontSigner("KRSA", lambda message: private.sign(message, padding.PKCS1v15(), chosen))
    return CloudFrontSigner("KEC", lambda message: private.sign(message, ec.ECDSA(chosen)))


def url_base64(data):
    return base64.b64encode(data).replace(b"+", b"-").replace(b"=", b"_").replace(b"/", b"~").decode()


def vectors():
    for name in KEYS:
        for hash_name in HASHES:
            by = signer(name, hash_name)
            suffix = "" if hash_name == "SHA1" else f"&Hash-Algorithm={hash_name}"
            for url in ["https://site.test/a.jpg", "http://site.test/a%20b.jpg?size=large&x=1&x=2", "https://site.test/"]:
                yield {
                    "key": name,
                    "hash": hash_name,
                    "url": url,
                    "expires": int(LATE.timestamp()),
                    "signed": by.generate_presigned_url(url, date_less_than=LATE) + suffix,
                }
            for url, resource, extra in [
                ("https://site.test/video/a/1.ts?x=1", "https://site.test/video/*", {}),
                ("http://site.test/video/a1.ts", "http*://site.test/video/a?.ts", {"date_greater_than": EARLY}),
                ("http://site.test/b.mp4", "http://site.test/b.mp4", {"ip_address": "127.0.0.0/8"}),
                ("http://site.test/any?y=2", "*", {"date_greater_than": EARLY, "ip_address": "127.0.0.1"}),
            ]:
                policy = by.build_policy(resource, LATE, **extra)
                yield {
                    "key": name,
                    "hash": hash_name,
                    "url": url,
                    "policy": policy,
                    "signed": by.generate_presigned_url(url, policy=policy) + suffix,
                    # As the Developer Guide says: the same three values under other names.
                    "cookies": {
                        "CloudFront-Policy": url_base64(policy.encode()),
                        "CloudFront-Signature": url_base64(by.rsa_signer(policy.encode())),
                        "CloudFront-Key-Pair-Id": by.key_id,
                        **({} if hash_name == "SHA1" else {"CloudFront-Hash-Algorithm": hash_name}),
                    },
                }


(HERE / "cloudfront.json").write_text(json.dumps(list(vectors()), indent=1) + "\n")
