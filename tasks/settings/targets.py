"""[[target]] and the tables below it, one class each, in the file's order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from tasks.names import is_target
from tasks.settings.rules import Table, Tidy
from tasks.settings.units import Duration, FreeSpace, Schedule, Size, Space
from tasks.settings.words import Compression, RedisUrl

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
