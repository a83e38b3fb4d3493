"""[target.tidy] and its rules: what may go, and how. Every condition a rule names must hold."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tasks.settings.units import Duration, Schedule, Size

KeyType = Literal["string", "list", "hash", "set", "zset", "stream"]


class Table(BaseModel):
    """A table of redkeep.toml: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Stamp(Table):
    """A date inside the key's name, in the expression's only group."""

    regex: str
    format: str
    older_than: Duration

    @field_validator("regex")
    @classmethod
    def _one_group(cls, value: str) -> str:
        try:
            groups = re.compile(value).groups
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        if groups != 1:
            raise ValueError(f"needs exactly one group around the date, has {groups}")
        return value

    @field_validator("format")
    @classmethod
    def _a_date(cls, value: str) -> str:
        shown = datetime(2026, 11, 23, tzinfo=UTC).strftime(value)
        if shown == value:
            raise ValueError('not a date format like "%Y%m%d"')
        return value


class KeySize(Table):
    """At least so many bytes (as MEMORY USAGE estimates them) or elements."""

    bytes: Size | None = None
    elements: int | None = Field(default=None, gt=0)


class Action(Table):
    """What happens to a key that fits: exactly one of these. ``"delete"`` alone is short for the first."""

    delete: bool = False
    expire_in: Duration | None = None
    trim_to: int | None = Field(default=None, ge=0)
    drop_scores_older_than: Duration | None = None
    drop_entries_older_than: Duration | None = None

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, value: object) -> object:
        if isinstance(value, str) and value != "delete":
            raise ValueError('an action is "delete" or a table like { trim_to = 1000 }')
        return {"delete": True} if value == "delete" else value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"name exactly one of {', '.join(type(self).model_fields)}")
        return self

    @property
    def kind(self) -> str:
        return next(iter(self.model_fields_set))


FITTING: dict[str, tuple[str, ...]] = {
    "trim_to": ("list", "zset", "stream"),
    "drop_scores_older_than": ("zset",),
    "drop_entries_older_than": ("stream",),
}
"""The key types an action works on, where not all."""


class Rule(Table):
    """One kind of unneeded data. The first rule that fits a key decides."""

    name: str = ""
    preset: Literal["celery"] | None = None
    match: str = ""
    type: KeyType | None = None
    ttl: Literal["none"] | None = None
    idle: Duration | None = None
    freq: int | None = Field(default=None, ge=0, le=255, description="LFU counter at most this")
    size: KeySize | None = None
    stamp: Stamp | None = None
    databases: list[int] | None = None
    action: Action | None = None
    keep_copy: bool = False
    i_mean_it: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.preset:
            if self.match or self.action:
                raise ValueError("a preset brings its own match and action")
            return self
        if not self.name or not self.match or self.action is None:
            raise ValueError("a rule needs name, match and action (or a preset)")
        if not self.match.strip("*") and not self.i_mean_it:
            raise ValueError('match = "*" takes every key there is; say i_mean_it = true as well')
        if self.idle is not None and self.freq is not None:
            raise ValueError("idle and freq exclude each other: a server keeps one of the two (maxmemory-policy)")
        fitting = FITTING.get(self.action.kind)
        if fitting and self.type not in fitting:
            raise ValueError(f"action {self.action.kind} needs type = {' or '.join(fitting)}")
        return self

    @property
    def title(self) -> str:
        return self.name or f"preset {self.preset}"


class Tidy(Table):
    schedule: Schedule = "37 * * * *"
    time_budget: Duration = 1200.0
    max_latency: Duration = 0.005
    max_share: float = Field(default=0.25, gt=0, le=1)
    needs_backup_within: Duration = 7200.0
    copies_for: Duration = 2_592_000.0
    protect: list[str] = []
    rule: list[Rule] = []

    @field_validator("rule")
    @classmethod
    def _names_differ(cls, rules: list[Rule]) -> list[Rule]:
        titles = [rule.title for rule in rules]
        twice = sorted({title for title in titles if titles.count(title) > 1})
        if twice:
            raise ValueError(f"two rules are called {twice[0]!r}")
        return rules
