"""redkeep.toml, read whole and early: every field checked before anything runs.

The file is named by ``--config``, else by REDKEEP_CONFIG, else it is /etc/redkeep/redkeep.toml; never something
that happens to lie in the current directory. In any string ``${NAME}`` takes a value from the environment; where
it is a part of a longer string (a password in a URL) the value is percent-encoded. ``{ file = "path" }`` in place
of a string takes the content of a file. Relative paths are relative to the settings file.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from tasks.errors import SecretMissing, SettingsInvalid, SettingsMissing, UnknownTarget
from tasks.settings.models import Control, Encryption, Settings, StoreSettings
from tasks.settings.targets import BackupSettings, Drill, Target

__all__ = [
    "BackupSettings",
    "Control",
    "Drill",
    "Encryption",
    "Settings",
    "StoreSettings",
    "Target",
    "current",
    "load",
    "parse",
    "target_of",
    "where",
]

VARIABLE = "REDKEEP_CONFIG"
SYSTEM_WIDE = Path("/etc/redkeep/redkeep.toml")
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PATHS = ("data_dir", "identity_files", "signing_key_file", "redis_server")


def where(named: Path | None = None) -> Path:
    """The settings file that counts here, whether it exists or not."""
    return named or Path(os.environ.get(VARIABLE) or SYSTEM_WIDE)


def load(named: Path | None = None) -> Settings:
    """Read and check the settings file.

    Raises:
        SettingsMissing: it is not there or may not be read.
        SettingsInvalid: it is not TOML, or a field is wrong; all wrong fields are named.
        SecretMissing: an environment variable or file it refers to is not there.
    """
    path = where(named).absolute()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsMissing(f"no settings file at {path}") from None
    except (OSError, ValueError) as error:
        raise SettingsMissing(f"cannot read the settings file {path}", detail=_reason(error)) from None
    return parse(text, os.environ, path)


@cache
def current() -> Settings:
    """The settings of this process, read once."""
    return load()


def parse(text: str, environment: Mapping[str, str], path: Path) -> Settings:
    """Check the text of a settings file that stands (or would stand) at `path`. Raises as :func:`load`."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"{path.name} is not TOML: {error}") from None
    try:
        return Settings.model_validate(_resolved(raw, "", environment, path.parent))
    except ValidationError as error:
        raise SettingsInvalid(f"{path.name}: {_told(error, raw)}") from None


def target_of(settings: Settings, name: str) -> Target:
    """The target of that name.

    Raises:
        UnknownTarget: there is none; the hint lists those there are.
    """
    for target in settings.target:
        if target.name == name:
            return target
    known = ", ".join(target.name for target in settings.target)
    raise UnknownTarget(f"no target is called {name[:64]!r}", hint=f"Use one of: {known}.")


def _resolved(value: Any, field: str, environment: Mapping[str, str], folder: Path) -> Any:
    """The TOML value with its references to environment and files replaced."""
    if isinstance(value, dict):
        if set(value) == {"file"}:
            return _content(folder / str(value["file"]), field)
        dotted = f"{field}." if field else ""
        return {key: _resolved(each, dotted + key, environment, folder) for key, each in value.items()}
    if isinstance(value, list):
        return [_resolved(each, f"{field}[{index}]", environment, folder) for index, each in enumerate(value)]
    if not isinstance(value, str):
        return value
    found = _expanded(value, field, environment)
    is_path = re.sub(r"\[\d+\]$", "", field).rpartition(".")[2] in _PATHS
    return folder / found if is_path else found


def _expanded(text: str, field: str, environment: Mapping[str, str]) -> str:
    def look_up(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise SecretMissing(f"{field}: the environment has no variable {match[1]}")
        found = environment[match[1]]
        return found if match[0] == text else quote(found, safe="")

    return _REFERENCE.sub(look_up, text)


def _content(path: Path, field: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a path with a NUL
        raise SecretMissing(f"{field}: cannot read {path}", detail=_reason(error)) from None


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return (error.strerror or "").lower()
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else "not a path"


def _told(error: ValidationError, raw: dict[str, Any]) -> str:
    """All that is wrong, a line each: the field as it stands in the file, and why."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        match problem["type"]:
            case "missing":
                reason = "is required"
            case "extra_forbidden":
                reason = _unknown(problem["loc"])
            case _:
                reason = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{_field(problem['loc'], raw)}: {reason[0].lower()}{reason[1:]}")
    unique = list(dict.fromkeys(lines))
    return unique[0] if len(unique) == 1 else "".join(f"\n  {line}" for line in unique)


def _field(location: tuple[int | str, ...], raw: Any) -> str:
    """``("target", 0, "backup", "schedule")`` as ``[[target]] main: backup.schedule``."""
    parts: list[str] = []
    prefix = ""
    for step in location:
        if isinstance(step, int):
            raw = raw[step] if isinstance(raw, list) and step < len(raw) else None
            title = raw.get("name") if isinstance(raw, dict) else None
            prefix += f"[[{'.'.join(parts)}]] {title or step + 1}: "
            parts = []
        else:
            raw = raw.get(step) if isinstance(raw, dict) else None
            parts.append(step)
    return prefix + ".".join(parts) if parts else prefix.rstrip(": ") or "the file"


def _unknown(location: tuple[int | str, ...]) -> str:
    """That there is no such key, and which one was meant if one is spelled much like it."""
    near = get_close_matches(str(location[-1]), _keys_beside(location), n=1)
    return f"is not a known key; did you mean {near[0]!r}?" if near else "is not a known key"


def _keys_beside(location: tuple[int | str, ...]) -> Iterable[str]:
    """The known keys of the table in which that one stands; none where it has several shapes."""
    table: type[BaseModel] = Settings
    for step in location[:-1]:
        if isinstance(step, int):
            continue
        field = table.model_fields.get(step)
        inner = list(_tables(field.annotation)) if field else []
        if len(inner) != 1:
            return ()
        table = inner[0]
    return table.model_fields


def _tables(annotation: Any) -> Iterator[type[BaseModel]]:
    """The kinds of table in a field's type: itself, or within ``list[...]`` and ``... | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _tables(argument)
