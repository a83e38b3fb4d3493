"""The tables of redkeep.toml, one class each, in the file's order."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from redis.connection import Connection, parse_url

from tasks.names import is_target
from tasks.settings.rules import Table, Tidy
from tasks.settings.units import Duration, FreeSpace, Schedule, Size, Space

_COMPRESSION = re.compile(r"none|zstd:([1-9]|1[0-9])|gzip:[1-9]")
_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")


def _redis_url(secret: SecretStr) -> SecretStr:
    """The reason never quotes the URL: where a password's own "/" or "#" was left as it is, what redis-py takes for
    the port is a piece of the password."""
    text = secret.get_secret_value()
    try:
        options: dict[str, Any] = dict(parse_url(text))  # type: ignore[no-untyped-call]
    except ValueError:
        raise ValueError(
            "not a Redis URL like redis://user:password@host:6379/0, rediss://... or unix:///socket?db=0 "
            "(in a password, / # ? @ : are written %2F %23 %3F %40 %3A)"
        ) from None
    if "path" not in options and not re.fullmatch(r"/?[0-9]*", urlsplit(text).path):
        raise ValueError("the path of a Redis URL is the number of a database")
    try:
        options.pop("connection_class", Connection)(**options)  # connects only when it is used
    except (TypeError, ValueError):
        raise ValueError("a Redis URL has an option that does not exist there") from None
    return secret


def _web_url(secret: SecretStr) -> SecretStr:
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", secret.get_secret_value()):
        raise ValueError("not a URL like https://host/path")
    return secret


def _signer(text: str) -> str:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ValueError("a signer is an Ed25519 public key, 32 bytes in base64, as `redkeep init` shows it")
    return text


def _compression(text: str) -> str:
    if not _COMPRESSION.fullmatch(text):
        raise ValueError('compression is "zstd:1" to "zstd:19", "gzip:1" to "gzip:9", or "none"')
    return text


RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
WebUrl = Annotated[SecretStr, AfterValidator(_web_url)]
Signer = Annotated[str, AfterValidator(_signer)]
Compression = Annotated[str, AfterValidator(_compression)]


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


_CONFIG_NAME = re.compile(r"[a-z][a-z0-9-]{1,63}")
_NOT_OURS = {
    **dict.fromkeys(("save", "appendonly", "appendfsync"), "it has a field of its own in [target.persistence]"),
    **dict.fromkeys(
        ("requirepass", "masterauth", "primaryauth", "masteruser", "primaryuser", "user", "aclfile"),
        "redkeep sets no passwords and no users",
    ),
    **dict.fromkeys(("tls-key-file-pass", "tls-client-key-file-pass"), "redkeep sets no passwords and no users"),
    **dict.fromkeys(
        ("dir", "dbfilename", "appendfilename", "appenddirname", "replicaof", "slaveof"),
        "it says where the data is, and changing it on a running server loses sight of that",
    ),
}
"""CONFIG names that [target.persistence.config] does not take, and why."""


class Persistence(Table):
    """What `enforce` keeps true. `config` holds further settings by their CONFIG name; what the server knows of them
    shows when it is asked."""

    enforce: Literal["report", "apply"] = "report"
    schedule: Schedule = "17 * * * *"
    save: str = ""
    appendonly: Literal["yes", "no"] = "yes"
    appendfsync: Literal["always", "everysec", "no"] = "everysec"
    config: dict[str, str] = Field(default={}, repr=False)

    @field_validator("save")
    @classmethod
    def _points(cls, value: str) -> str:
        words = value.split()
        if len(words) % 2 or not all(word.isdecimal() and int(word) > 0 for word in words):
            raise ValueError('save points are pairs of seconds and changes, like "900 1 300 10", or "" for none')
        return value

    @field_validator("config")
    @classmethod
    def _takeable(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if name in _NOT_OURS:
                raise ValueError(f"{name} does not belong here: {_NOT_OURS[name]}")
            if not _CONFIG_NAME.fullmatch(name):
                raise ValueError(f"{name[:64]!r} is not the name of a setting, like no-appendfsync-on-rewrite")
        return value


class Guard(Table):
    max_fork_ms: float = Field(default=500, gt=0)
    min_free_memory: Size = 256 * 2**20
    min_free_disk: FreeSpace = Space(share=0.10)


class Keep(Table):
    last: int = Field(default=3, ge=1)
    hourly: int = Field(default=48, ge=0)
    daily: int = Field(default=30, ge=0)
    weekly: int = Field(default=8, ge=0)
    monthly: int = Field(default=12, ge=0)


class BackupSettings(Table):
    schedule: Schedule = "7 * * * *"
    source: Literal["auto", "follow", "stream"] = "auto"
    compression: Compression = "zstd:1"
    server_compression: Literal["off", "keep"] = "off"
    replica: Literal["refuse", "accept"] = "refuse"
    keep: Keep = Keep()
    max_age: Duration = 7200.0
    freeze_on_shrink: float = Field(default=0.5, gt=0, le=1)


class Rewrite(Table):
    schedule: Schedule = "33 3 * * *"


class Verify(Table):
    schedule: Schedule = "13 4 * * *"


class Expect(Table):
    key: str
    exists: bool = True


class Drill(Table):
    schedule: Schedule = "43 4 * * *"
    redis_server: Path | None = None
    min_keys: int = Field(default=0, ge=0)
    min_share_of_previous: float = Field(default=0.0, ge=0, le=1)
    expect: list[Expect] = []


class Target(Table):
    """One Redis under care."""

    name: str
    url: RedisUrl
    data_dir: Path | None = None
    worker: str | None = None
    host: str | None = None
    persistence: Persistence = Persistence()
    guard: Guard = Guard()
    backup: BackupSettings = BackupSettings()
    rewrite: Rewrite = Rewrite()
    verify: Verify | None = None
    drill: Drill | None = None
    tidy: Tidy | None = None

    @field_validator("name", "worker", "host")
    @classmethod
    def _spelled(cls, value: str | None) -> str | None:
        if value is not None and not is_target(value):
            raise ValueError("a name is up to 63 letters, digits, dots, dashes or underscores")
        return value


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
