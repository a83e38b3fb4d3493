"""The tables of redkeep.toml, one class each, in the file's order; those of a target stand in targets.py."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from tasks.settings.rules import Table
from tasks.settings.targets import Target
from tasks.settings.units import Duration, Size
from tasks.settings.words import RedisUrl, Signer, WebUrl

_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")


class History(Table):
    """How many run records are kept, per target and task."""

    runs: int = Field(default=1000, ge=1)
    days: int = Field(default=90, ge=1)


class Control(Table):
    """The Redis that carries Celery's messages and results, the leases and the run records."""

    url: RedisUrl
    namespace: str = "redkeep"
    history: History = History()
    lease_ttl: Duration = Field(default=60.0)
    visibility: Duration = Field(default=300.0)
    patience: Duration = Field(default=10.0)
    defer_for: Duration = Field(default=900.0)
    time_limit: Duration = Field(default=21_600.0)

    @field_validator("namespace")
    @classmethod
    def _spelled(cls, value: str) -> str:
        if not _NAMESPACE.fullmatch(value):
            raise ValueError("a namespace is up to 32 letters, digits, dots, dashes or underscores")
        return value

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not 1 <= self.lease_ttl <= self.visibility:
            raise ValueError("lease_ttl is at least 1s and not above visibility")
        if not 0 < self.patience < self.visibility / 2:
            raise ValueError("patience is above 0s and below half of visibility")
        return self

    @property
    def retry_delay(self) -> float:
        """Seconds after which a run that could not begin is tried again; well below the visibility timeout,
        above which Celery's Redis transport was seen to deliver a delayed message several times."""
        return min(self.patience, self.visibility / 4)


class Log(Table):
    format: Literal["text", "json"] = "text"


class StoreSettings(Table):
    url: str
    endpoint_url: str | None = None
    region: str | None = None
    part_size: Size = 16 * 2**20
    concurrency: int = Field(default=4, ge=1, le=64)
    storage_class: str | None = None
    object_lock: Duration | None = None

    @field_validator("url")
    @classmethod
    def _known(cls, value: str) -> str:
        if not re.fullmatch(r"s3://[^/]+(/.*)?|file:///.+", value):
            raise ValueError('a store is "s3://bucket/prefix" or "file:///folder"')
        return value

    @field_validator("endpoint_url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^/@]+/?", value):
            raise ValueError('an endpoint is "https://host:port", with no path and no credentials')
        return value

    @field_validator("part_size")
    @classmethod
    def _s3_bounds(cls, value: int) -> int:
        if not 5 * 2**20 <= value <= 5 * 2**30:
            raise ValueError("parts are from 5MiB to 5GiB, as S3 takes them")
        return value

    def arguments(self) -> dict[str, Any]:
        """As :func:`tasks.store.open_store` takes them."""
        lock = timedelta(seconds=self.object_lock) if self.object_lock else None
        return {**self.model_dump(), "object_lock": lock}


class Encryption(Table):
    recipients: list[str] | Literal["none"]
    identity_files: list[Path] = []
    signing_key_file: Path | None = None
    trusted_signers: list[Signer] = []

    @field_validator("recipients", mode="before")
    @classmethod
    def _a_list(cls, value: object) -> object:
        if isinstance(value, str) and value != "none":
            raise ValueError('recipients is a list of public keys, or "none" to ship in the clear')
        return value

    @field_validator("recipients")
    @classmethod
    def _asked_for(cls, value: list[str] | str) -> list[str] | str:
        if value == []:
            raise ValueError('name at least one recipient; recipients = "none" ships in the clear')
        for position, key in enumerate(value if isinstance(value, list) else [], 1):
            if key.upper().startswith("AGE-SECRET-KEY-"):
                raise ValueError(f"number {position} is a private key; the worker needs the public one (age1...)")
            if not _RECIPIENT.fullmatch(key):
                raise ValueError(f"number {position} is not an age recipient (age1 and 58 lower-case characters)")
        return value

    @property
    def recipient_keys(self) -> list[str]:
        """The public keys; none where shipping in the clear was asked for by name."""
        return self.recipients if isinstance(self.recipients, list) else []


class Alerts(Table):
    heartbeat_url: WebUrl | None = None
    webhook_url: WebUrl | None = None


class Settings(Table):
    """The whole of redkeep.toml."""

    control: Control
    log: Log = Log()
    store: StoreSettings
    encryption: Encryption
    target: list[Target] = Field(min_length=1)
    alerts: Alerts = Alerts()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        names = [target.name for target in self.target]
        if len(set(names)) < len(names):
            raise ValueError("two targets have the same name")
        return self
