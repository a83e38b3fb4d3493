"""[target.tidy] and its rules: what may go, and how. Every condition a rule names must hold."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from tasks.glob import Glob
from tasks.settings import stamps
from tasks.settings.units import Duration, Schedule, Size

KeyType = Literal["string", "list", "hash", "set", "zset", "stream"]


LONGEST_IDLE = 180 * 86_400
"""A server counts idle seconds in 24 bits, about 194 days, and then from 0 again."""


def _is_glob(pattern: str) -> str:
    Glob(pattern)
    return pattern


def _above_zero(value: float) -> float:
    if value <= 0:
        raise ValueError("must be above 0")
    return value


Pattern = Annotated[str, AfterValidator(_is_glob)]
Age = Annotated[Duration, AfterValidator(_above_zero)]


class Table(BaseModel):
    """A table of redkeep.toml: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Stamp(Table):
    """A date inside the key's name, in the expression's only group."""

    regex: Annotated[str, AfterValidator(stamps.check_regex)]
    format: Annotated[str, AfterValidator(stamps.check_format)]
    older_than: Duration


class KeySize(Table):
    """At least so many bytes (as MEMORY USAGE estimates them) or elements."""

    bytes: Size | None = None
    elements: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.bytes is None and self.elements is None:
            raise ValueError("name bytes, elements, or both")
        return self


class Action(Table):
    """What happens to a key that fits: exactly one of these. ``"delete"`` alone is short for the first."""

    delete: Literal[True] | None = None
    expire_in: Age | None = None
    trim_to: int | None = Field(default=None, ge=1)
    drop_scores_older_than: Age | None = None
    drop_entries_older_than: Age | None = None

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


PRESET_TAKES = {"preset", "name", "databases", "keep_copy"}


class Rule(Table):
    """One kind of unneeded data. The first rule that fits a key decides."""

    name: str = ""
    preset: Literal["celery"] | None = None
    match: Pattern = ""
    type: KeyType | None = None
    ttl: Literal["none"] | None = None
    idle: Age | None = None
    freq: int | None = Field(default=None, ge=0, le=255, description="LFU counter at most this")
    size: KeySize | None = None
    stamp: Stamp | None = None
    databases: list[Annotated[int, Field(ge=0)]] | None = Field(default=None, min_length=1)
    action: Action | None = None
    keep_copy: bool = False
    i_mean_it: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.preset:
            if self.model_fields_set - PRESET_TAKES:
                raise ValueError("a preset brings its own conditions and action; it takes databases and keep_copy")
            return self
        if not self.name or not self.match or self.action is None:
            raise ValueError("a rule needs name, match and action (or a preset)")
        if not self.match.strip("*?") and not self.i_mean_it:
            raise ValueError('match = "*" takes every key there is; say i_mean_it = true as well')
        if self.idle is not None and self.freq is not None:
            raise ValueError("idle and freq exclude each other: a server keeps one of the two (maxmemory-policy)")
        if self.idle is not None and self.idle > LONGEST_IDLE:
            raise ValueError("idle is at most 180d: a server counts up to 194 days and then from 0 again")
        fitting = FITTING.get(self.action.kind)
        if fitting and self.type not in fitting:
            raise ValueError(f"action {self.action.kind} needs type = {' or '.join(fitting)}")
        return self

    @property
    def title(self) -> str:
        return self.name or f"preset {self.preset}"


class Tidy(Table):
    schedule: Schedule = "37 * * * *"
    time_budget: Age = 1200.0
    max_latency: Age = 0.005
    max_share: float = Field(default=0.25, gt=0, le=1)
    needs_backup_within: Age = 7200.0
    copies_for: Duration = 2_592_000.0
    max_copy: Size = 2 * 2**20
    protect: list[Pattern] = []
    rule: list[Rule] = []

    @field_validator("max_copy")
    @classmethod
    def _readable(cls, value: int) -> int:
        if value > 64 * 2**20:  # archive/format.py, LONGEST_PAYLOAD
            raise ValueError("max_copy is at most 64MiB, the largest copy that can be brought back")
        return value

    @field_validator("rule")
    @classmethod
    def _names_differ(cls, rules: list[Rule]) -> list[Rule]:
        titles = [rule.title for rule in rules]
        twice = sorted({title for title in titles if titles.count(title) > 1})
        if twice:
            raise ValueError(f"two rules are called {twice[0]!r}")
        return rules
