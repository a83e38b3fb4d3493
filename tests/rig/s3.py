"""Real S3 servers on this machine: moto (in memory, knows conditions and locks) and rclone (files, checks signatures).

with s3.rclone(folder) as server:
    server.make_bucket("site-backups")
    ...  # server.endpoint_url, server.environment

moto checks neither credentials nor checksums and dates every upload 2010-11-10; rclone takes ``If-None-Match`` and
``If-Match`` without looking at them, and compares no checksum but Content-MD5.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rig.ports import ReservedPort

__all__ = ["NO_AWS", "Server", "moto", "rclone"]

NO_AWS = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""With these, nothing of this machine's or user's AWS is looked at. Unset every other ``AWS_`` name beside."""

START = 20
"""Seconds until a server must answer: 0.06 for rclone and 0.6 for moto on an idle machine."""


@dataclass(frozen=True)
class Server:
    """A running server. Its credentials are the run's own and good for nothing else."""

    endpoint_url: str
    access_key: str
    secret_key: str
    pid: int

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs, beside ``endpoint_url``, to speak to this server and to no other."""
        return NO_AWS | {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def make_bucket(self, name: str, *, object_lock: bool = False) -> None:
        """Make an empty bucket. Only moto has buckets with object lock."""
        self.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=object_lock)

    @cached_property
    def client(self) -> Any:
        """A plain boto3 client, for what a test asks behind redkeep's back."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )


@contextmanager
def moto() -> Iterator[Server]:
    """moto's server in a process of its own; what it holds is gone at the end."""
    port = ReservedPort()
    arguments = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port.number)]
    with _running(arguments, port, "testing-access-key", "testing-secret-key") as server:
        yield server


@contextmanager
def rclone(folder: Path, *options: str) -> Iterator[Server]:
    """``rclone serve s3`` over ``folder``: a bucket is a folder in it, an object a file."""
    port = ReservedPort()
    access_key, secret_key = f"K{os.urandom(10).hex().upper()}", os.urandom(20).hex()
    program = Path(sys.prefix) / "bin" / "rclone"
    arguments = [str(program), "serve", "s3", "--config", os.devnull, "--auth-key", f"{access_key},{secret_key}"]
    arguments += ["--addr", f"127.0.0.1:{port.number}", *options, str(folder)]
    with _running(arguments, port, access_key, secret_key) as server:
        yield server


@contextmanager
def _running(arguments: list[str], port: ReservedPort, access_key: str, secret_key: str) -> Iterator[Server]:
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _answering(process, port.number)
        yield Server(f"http://127.0.0.1:{port.number}", access_key, secret_key, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        port.release()


def _answering(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until anything at all is answered over HTTP."""
    end = time.monotonic() + START
    while process.poll() is None and time.monotonic() < end:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.02)
        else:
            return
        finally:
            connection.close()
    raise RuntimeError(f"{process.args!r} did not start: {process.poll()}")
