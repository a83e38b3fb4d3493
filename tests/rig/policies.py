"""An S3 server that holds every request to a policy, and to its signature: moto with its own IAM.

with policed("site-backups") as bucket:
    environment = bucket.may({"Version": "2012-10-17", "Statement": [...]})
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3

from rig import s3

__all__ = ["Policed", "policed"]

ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
USER, POLICY = "redkeep", "policy"


class Policed:
    """A bucket, whose only user may do what a test says."""

    def __init__(self, server: s3.Server, bucket: str) -> None:
        self.endpoint_url = server.endpoint_url
        server.make_bucket(bucket)
        keys = {name: self._user(server, name) for name in (USER, "admin")}
        self._user_keys = keys[USER]
        self._iam = self._client("iam", *keys["admin"])
        self.s3 = self._client("s3", *keys["admin"])
        self._enforce()

    def may(self, policy: dict[str, Any]) -> dict[str, str]:
        """From now on that is all the user may do. The environment in which redkeep is that user."""
        self._iam.put_user_policy(UserName=USER, PolicyName=POLICY, PolicyDocument=json.dumps(policy))
        access_key, secret_key = self._user_keys
        return s3.NO_AWS | {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}

    def _user(self, server: s3.Server, name: str) -> tuple[str, str]:
        iam = self._client("iam", server.access_key, server.secret_key)
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName=POLICY, PolicyDocument=json.dumps(ALL))
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return made["AccessKeyId"], made["SecretAccessKey"]

    def _client(self, service: str, access_key: str, secret_key: str) -> Any:
        keys = {"aws_access_key_id": access_key, "aws_secret_access_key": secret_key}
        return boto3.client(service, endpoint_url=self.endpoint_url, region_name="us-east-1", **keys)  # type: ignore[call-overload]

    def _enforce(self) -> None:
        """moto lets through as many requests as this says before it begins to look at rights."""
        address = f"{self.endpoint_url}/moto-api/reset-auth"
        request = urllib.request.Request(address, data=b"0", method="POST", headers={"Content-Type": "text/plain"})
        urllib.request.urlopen(request, timeout=20).close()


@contextmanager
def policed(bucket: str) -> Iterator[Policed]:
    with s3.moto() as server:
        yield Policed(server, bucket)
