"""Makes sigv4.json: requests to a bucket signed by an implementation that is not ours (botocore's S3SigV4Auth).

    python3 -m venv venv && venv/bin/pip install botocore && venv/bin/python sigv4.py
"""

import datetime
import json
import pathlib
from unittest import mock

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

HERE = pathlib.Path(__file__).parent
NOW = datetime.datetime(2026, 11, 21, 15, 30, 0)
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def signed(method, url, token=None, headers=None, streamed=False):
    request = AWSRequest(method=method, url=url, headers=dict(headers or {}))
    content = "UNSIGNED-PAYLOAD" if streamed else EMPTY
    # What a proxy changes on the way is not signed, so botocore is not shown it.
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
    auth = botocore.auth.S3SigV4Auth(credentials, "s3", "eu-central-1")
    auth.payload = lambda request: content
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda *a, **k: NOW):
        auth.add_auth(request)
    return {
        "method": method,
        "url": url,
        "token": token,
        "headers": headers or {},
        "streamed": streamed,
        "date": request.headers["X-Amz-Date"],
        "authorization": request.headers["Authorization"],
    }


vectors = [
    signed("GET", "https://bucket.s3.example.test/a.jpg"),
    signed("HEAD", "https://bucket.s3.example.test/"),
    signed("GET", "https://bucket.s3.example.test/folder/a%20b%2Bc.txt"),
    signed("GET", "https://bucket.s3.example.test/%C3%A4/%E4%BD%A0.txt?versionId=1&partNumber=2"),
    signed("GET", "https://bucket.s3.example.test/~a-b_c.d/%21x?b=2&a=1&a=0&empty"),
    signed("GET", "https://127.0.0.1:9000/bucket/a.jpg", token="a/session+token=="),
    signed("PUT", "https://bucket.s3.example.test/up.bin", headers={"x-amz-acl": "private"}, streamed=True),
]
(HERE / "sigv4.json").write_text(json.dumps(vectors, indent=1) + "\n")
