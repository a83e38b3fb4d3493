"""What people use today: where it is, and how it finds the S3 server."""

from __future__ import annotations

import os
import shutil
import sysconfig

from tasks.demo.machine import BUCKET

__all__ = ["environment", "located"]

SCRIPTS = sysconfig.get_path("scripts")
"""Where rclone is, which came as a Python package."""


def located(tool: str) -> str | None:
    return shutil.which(tool) or shutil.which(tool, path=SCRIPTS)


def environment(endpoint: str) -> dict[str, str]:
    """For a shell script: every tool on PATH, the S3 server as rclone's ``store:``, the bucket's name as $BUCKET. Its
    credentials are taken from our own environment."""
    return {
        "PATH": f"{os.environ['PATH']}{os.pathsep}{SCRIPTS}",
        "BUCKET": BUCKET,
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CONFIG_STORE_TYPE": "s3",
        "RCLONE_CONFIG_STORE_PROVIDER": "Rclone",
        "RCLONE_CONFIG_STORE_ENDPOINT": endpoint,
        "RCLONE_CONFIG_STORE_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
        "RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
        "RCLONE_S3_NO_CHECK_BUCKET": "true",
    }
