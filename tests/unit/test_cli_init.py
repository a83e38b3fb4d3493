"""`redkeep init`: what it writes, with which rights, and that what it writes is right to the last comment."""

from __future__ import annotations

import os
import re
import socket
import stat
import tomllib
from pathlib import Path
from typing import Any

import pyrage
import pytest
from pydantic import BaseModel
from rig.commands import here
from rig.redis_servers import RedisServer

from tasks.beginning import begin
from tasks.errors import FileExists, FileUnwritable
from tasks.manifest import public_key_of, read_signing_key
from tasks.proposal import host_named, minutes_of
from tasks.settings import Settings, load, parse
from tasks.settings.rules import Tidy
from tasks.settings.targets import Drill, Verify
from tasks.stream import age

ELSEWHERE = ("--redis", "redis://elsewhere:6379")
"""So that no server of this machine is looked for."""
FILES = ("identity.txt", "redkeep.toml", "signing.pem")
COMMENTED = re.compile(r"^# (?=\[|[a-z_-]+ = )", re.MULTILINE)
"""The beginning of a line that is a setting once it is uncommented."""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_files_are_for_the_owner_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        assert here("init", tmp_path / "conf", *ELSEWHERE).code == 0
    finally:
        os.umask(before)
    assert mode(tmp_path / "conf") == 0o700
    assert {path.name: mode(path) for path in (tmp_path / "conf").iterdir()} == dict.fromkeys(FILES, 0o600)


def test_a_folder_that_is_there_keeps_its_rights_and_its_files(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "note").write_text("mine")
    assert here("init", tmp_path, *ELSEWHERE).code == 0
    assert mode(tmp_path) == 0o755
    assert (tmp_path / "note").read_text() == "mine"


def test_without_a_name_it_is_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = here("init", *ELSEWHERE)
    assert said.code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == list(FILES)
    assert f"export REDKEEP_CONFIG={tmp_path}/redkeep.toml; redkeep check" in said.out


@pytest.mark.parametrize("there", FILES)
def test_nothing_is_ever_overwritten_and_nothing_added_beside_it(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("precious")
    said = here("init", tmp_path, *ELSEWHERE)
    assert said.code == 15
    assert there in said.err
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "precious"


def test_a_link_that_leads_nowhere_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "identity.txt").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExists):
        begin(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileUnwritable, match="not a directory"):
        begin(tmp_path / "file" / "conf")
    assert here("init", tmp_path / "file" / "conf", *ELSEWHERE).code == 16


def test_with_json_it_names_the_files_and_the_public_keys_only(tmp_path: Path) -> None:
    said = here("init", tmp_path, "--json", *ELSEWHERE)
    told = said.json
    assert set(told) == {"settings", "identity", "signing_key", "recipient", "signer", "found"}
    assert Path(told["identity"]) == tmp_path / "identity.txt"
    assert "AGE-SECRET" not in said.out + said.err
    assert "PRIVATE" not in said.out + said.err


def test_a_path_with_blanks_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    said = here("init", tmp_path / "my conf", *ELSEWHERE)
    assert f"export REDKEEP_CONFIG='{tmp_path}/my conf/redkeep.toml'" in said.out
    assert load(tmp_path / "my conf" / "redkeep.toml").encryption.signing_key_file is not None


# -- what this machine tells -------------------------------------------------------------------------------------------


def test_a_named_server_of_this_machine_tells_the_rest(tmp_path: Path, any_redis: RedisServer) -> None:
    any_redis.client().set("a", 1)
    said = here("init", tmp_path, "--redis", any_redis.url)
    settings = load(tmp_path / "redkeep.toml")
    (target,) = settings.target
    assert target.url.get_secret_value() == any_redis.url
    assert settings.control.url.get_secret_value() == f"{any_redis.url}/0"
    assert target.data_dir == any_redis.dir
    assert target.host == host_named(socket.gethostname()) or None
    minutes = minutes_of(target.host or "")
    assert target.backup.schedule == f"{minutes['backup']} * * * *"
    assert target.persistence.schedule == f"{minutes['persistence']} * * * *"
    assert target.rewrite.schedule == f"{minutes['rewrite']} 3 * * *"
    assert said.out.startswith("Found ")
    assert "1 key," in said.out


def test_what_is_given_wins_over_what_is_found(tmp_path: Path, any_redis: RedisServer) -> None:
    given = ["--redis", any_redis.url, "--data-dir", "/data", "--control", "redis://control:6379/1"]
    assert here("init", tmp_path, *given).code == 0
    settings = load(tmp_path / "redkeep.toml")
    assert settings.target[0].data_dir == Path("/data")
    assert settings.control.url.get_secret_value() == "redis://control:6379/1"


def test_a_named_server_elsewhere_is_not_asked_and_nothing_is_guessed(tmp_path: Path) -> None:
    assert here("init", tmp_path, *ELSEWHERE).code == 0
    (target,) = load(tmp_path / "redkeep.toml").target
    assert (target.data_dir, target.host) == (None, None)
    assert '# schedule = "7 * * * *"' in (tmp_path / "redkeep.toml").read_text()


def test_further_recipients_may_read_as_well(tmp_path: Path) -> None:
    others = [age.recipient_of(age.generate_identity()) for _ in range(2)]
    said = here("init", tmp_path, *ELSEWHERE, "--recipient", others[0], "--recipient", others[1])
    assert said.code == 0
    first, *rest = load(tmp_path / "redkeep.toml").encryption.recipient_keys
    assert rest == others
    assert first in (tmp_path / "identity.txt").read_text()


def test_a_recipient_that_is_none_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    said = here("init", tmp_path / "conf", *ELSEWHERE, "--recipient", "age1nonsense")
    assert said.code == 14
    assert not (tmp_path / "conf").exists()


# -- keys --------------------------------------------------------------------------------------------------------------


def test_the_keys_fit_each_other_and_the_settings(tmp_path: Path) -> None:
    written = begin(tmp_path)
    encryption = load(written.settings).encryption
    (line,) = [line for line in written.identity.read_text().splitlines() if not line.startswith("#")]
    assert str(pyrage.x25519.Identity.from_str(line).to_public()) == written.recipient
    assert encryption.recipient_keys == [written.recipient]
    assert encryption.signing_key_file == written.signing_key
    assert public_key_of(read_signing_key(written.signing_key.read_bytes())) == written.signer
    assert encryption.trusted_signers == [written.signer]
    assert encryption.identity_files == [], "a worker has public keys only unless it is told otherwise"


def test_two_beginnings_share_no_key(tmp_path: Path) -> None:
    one, other = begin(tmp_path / "one"), begin(tmp_path / "other")
    assert {one.recipient, one.signer}.isdisjoint({other.recipient, other.signer})


# -- the settings it writes --------------------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return begin(tmp_path).settings


def uncommented(path: Path) -> str:
    return COMMENTED.sub("", path.read_text())


def test_no_placeholder_is_left(written: Path) -> None:
    assert not re.search(r"@[A-Z_]+@", written.read_text())


def test_every_commented_setting_is_valid_once_it_is_uncommented(written: Path) -> None:
    settings = parse(uncommented(written), {}, written)
    (target,) = settings.target
    assert target.tidy is not None
    assert len(target.tidy.rule) == 2
    assert target.drill is not None
    assert settings.alerts.webhook_url is not None


def test_every_setting_there_is_stands_in_the_file(written: Path) -> None:
    """A reader need not look anywhere else; rules of tidy have a document of their own."""
    given = named_in(tomllib.loads(uncommented(written)))
    missing = {name for name in fields_of(Settings) if name not in given and ".rule." not in name}
    assert missing == set()


EXAMPLES = {
    "store.endpoint_url", "store.region", "store.storage_class", "store.object_lock", "encryption.identity_files",
    "target.data_dir", "target.worker", "target.host", "target.persistence.config.no-appendfsync-on-rewrite",
    "target.drill.redis_server", "target.drill.min_keys", "target.drill.min_share_of_previous", "target.drill.expect",
    "target.tidy.protect", "target.tidy.rule", "alerts.heartbeat_url", "alerts.webhook_url",
}  # fmt: skip
"""What has no value unless one is given: the file shows what one looks like."""


def test_what_a_comment_shows_is_what_leaving_it_out_means(written: Path) -> None:
    shown = parse(uncommented(written), {}, written)
    left_out = parse(written.read_text(), {}, written)
    (target,) = left_out.target
    whole = target.model_copy(update={"verify": Verify(), "drill": Drill(), "tidy": Tidy()})
    left_out = left_out.model_copy(update={"target": [whole]})
    given = values_of(shown.model_dump())
    meant = values_of(left_out.model_dump())
    differing = {name for name, value in given.items() if meant.get(name) != value}
    assert {name for name in differing if not any(name.startswith(each) for each in EXAMPLES)} == set()


def named_in(raw: Any, prefix: str = "") -> set[str]:
    """Every key of the file, dotted; a table in a list counts like a table."""
    if isinstance(raw, list):
        return set().union(*(named_in(each, prefix) for each in raw)) if raw else set()
    if not isinstance(raw, dict):
        return set()
    dotted = f"{prefix}." if prefix else ""
    found = {dotted + name for name in raw}
    return found.union(*(named_in(value, dotted + name) for name, value in raw.items()))


def fields_of(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Every field of the models, dotted."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        dotted = f"{prefix}.{name}" if prefix else name
        found.add(dotted)
        for kind in models_in(field.annotation):
            found |= fields_of(kind, dotted)
    return {name for name in found if not name.startswith("target.guard.min_free_disk.")}


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [kind for each in getattr(annotation, "__args__", ()) for kind in models_in(each)]


def values_of(raw: Any, prefix: str = "") -> dict[str, Any]:
    """Every value, by its dotted name."""
    if isinstance(raw, list) and raw and isinstance(raw[0], dict):
        raw = raw[0]
    if not isinstance(raw, dict):
        return {prefix: raw}
    dotted = f"{prefix}." if prefix else ""
    return {name: value for key, each in raw.items() for name, value in values_of(each, dotted + str(key)).items()}
