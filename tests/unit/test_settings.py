"""redkeep.toml: what is taken, what is refused and in which words, and that no word is a secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from rig.example_toml import EXAMPLE, IDENTITY, PASSWORD, RECIPIENT, edited, read, refusal

from tasks import settings
from tasks.errors import SecretMissing, SettingsMissing, UnknownTarget
from tasks.settings import load, target_of, where

# -- what is taken ---------------------------------------------------------------------------------------


def test_the_promised_example_is_taken_and_means_what_it_says() -> None:
    found = read(EXAMPLE)
    target = found.target[0]
    assert (found.control.lease_ttl, found.control.visibility) == (60.0, 300.0)
    assert (found.store.part_size, found.store.object_lock) == (16 * 2**20, 30 * 86_400)
    assert found.encryption.recipient_keys == [RECIPIENT]
    assert (target.backup.keep.hourly, target.backup.max_age) == (48, 7200)
    assert target.guard.min_free_disk.of(1000) == 100
    assert target.tidy is not None
    kinds = [rule.action.kind if rule.action else rule.preset for rule in target.tidy.rule]
    assert kinds == ["delete", "delete", "trim_to", "drop_scores_older_than", "expire_in", "celery"]
    assert target.persistence.config == {"no-appendfsync-on-rewrite": "no"}


def test_four_tables_are_enough_and_the_rest_is_as_promised() -> None:
    found = read(
        '[control]\nurl = "redis://h"\n[store]\nurl = "file:///b"\n[encryption]\nrecipients = "none"\n'
        '[[target]]\nname = "main"\nurl = "redis://h"\n'
    )
    target = found.target[0]
    assert (target.backup.schedule, target.rewrite.schedule) == ("7 * * * *", "33 3 * * *")
    assert target.persistence.enforce == "report"
    assert (target.tidy, target.verify, target.drill) == (None, None, None)
    assert (found.encryption.recipient_keys, found.log.format, found.control.namespace) == ([], "text", "redkeep")


def test_a_schedule_may_be_off() -> None:
    assert read(edited('"7 * * * *"', '"off"')).target[0].backup.schedule == "off"


def test_settings_cannot_be_changed_after_loading() -> None:
    found = read(EXAMPLE)
    with pytest.raises(ValueError, match="frozen"):
        found.control.namespace = "other"


# -- references to environment and files -----------------------------------------------------------------


def test_a_whole_value_comes_from_the_environment_as_it_is() -> None:
    found = read(edited("redis://127.0.0.1:6379", "${URL}"), URL="redis://u:p%40@h:1/2")
    assert found.target[0].url.get_secret_value() == "redis://u:p%40@h:1/2"


def test_a_value_inside_a_longer_one_is_percent_encoded() -> None:
    text = edited("redis://127.0.0.1:6379", "redis://${USER}:${PASS}@127.0.0.1:6379")
    found = read(text, USER="ops", PASS="p@ss/w:rd#%é ")
    assert found.target[0].url.get_secret_value() == "redis://ops:p%40ss%2Fw%3Ard%23%25%C3%A9%20@127.0.0.1:6379"


def test_what_the_environment_gives_is_not_expanded_again() -> None:
    text = edited("redis://127.0.0.1:6379", "redis://:${PASS}@h")
    assert "%24%7BHOME%7D" in read(text, PASS="${HOME}", HOME="/root").target[0].url.get_secret_value()


def test_a_variable_that_is_missing_is_named_with_its_field() -> None:
    with pytest.raises(SecretMissing) as caught:
        read(edited("redis://127.0.0.1:6379", "redis://:${REDIS_PASS}@h"))
    assert str(caught.value) == "target[0].url: the environment has no variable REDIS_PASS"


def test_a_value_comes_from_a_file_without_its_last_newline(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"redis://:{PASSWORD}@h\n")
    text = edited('"redis://127.0.0.1:6379"', '{ file = "url" }')
    assert read(text, tmp_path).target[0].url.get_secret_value() == f"redis://:{PASSWORD}@h"


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "no such file or directory"), (b"\xff\xfe", "not UTF-8")], ids=["none", "bytes"]
)
def test_a_file_that_cannot_be_read_is_named_with_its_field(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "url").write_bytes(content)
    with pytest.raises(SecretMissing) as caught:
        read(edited('"redis://127.0.0.1:6379"', '{ file = "url" }'), tmp_path)
    assert str(caught.value) == f"target[0].url: cannot read {tmp_path / 'url'} ({reason})"


def test_a_path_that_is_none_is_an_error_of_ours() -> None:
    with pytest.raises(SecretMissing, match="not a path"):
        read(edited('"redis://127.0.0.1:6379"', r'{ file = "a\u0000b" }'))


def test_relative_paths_are_relative_to_the_settings_file(tmp_path: Path) -> None:
    text = EXAMPLE.replace('"/etc/redkeep/', '"keys/').replace("/var/lib/redis", "../data")
    found = read(text.replace('"/usr/local/bin/redis-server"', '"bin/redis-server"'), tmp_path)
    assert found.encryption.identity_files == [tmp_path / "keys/identity.txt"]
    assert found.encryption.signing_key_file == tmp_path / "keys/signing.pem"
    assert found.target[0].data_dir == tmp_path / "../data"
    assert found.target[0].drill is not None
    assert found.target[0].drill.redis_server == tmp_path / "bin/redis-server"


# -- secrets ---------------------------------------------------------------------------------------------


def test_no_secret_shows_in_any_form_of_the_settings() -> None:
    text = EXAMPLE.replace("redis://127.0.0.1:6379", f"redis://ops:{PASSWORD}@h")
    text = text.replace("redis://127.0.0.1:6390/0", f"rediss://:{PASSWORD}@h")
    text = text.replace("hooks.example/1", f"hooks.example/{PASSWORD}")
    text = text.replace("hooks.example/2", f"{PASSWORD}.example")
    text = text.replace('no-appendfsync-on-rewrite = "no"', f'proc-title-template = "{PASSWORD}"')
    found = read(text)
    for shown in (repr(found), str(found), repr(found.control), f"{found.target[0]}", repr(found.alerts)):
        assert PASSWORD not in shown
        assert len(shown) > 20


@pytest.mark.parametrize(
    "url",
    [
        "redis://:" + PASSWORD + "/more@h:6379",
        "redis://:" + PASSWORD + "#more@h:6379",
        "redis://:" + PASSWORD + "?more@h:6379",
        "http://:" + PASSWORD + "@h",
        "redis://:" + PASSWORD + "@h:port",
        "redis://:" + PASSWORD + "@h?no=1",
        "redis://h?" + PASSWORD + "=1",
        PASSWORD,
    ],
)
def test_no_refusal_quotes_a_piece_of_a_password(url: str) -> None:
    told = refusal(edited("redis://127.0.0.1:6379", url))
    assert "[[target]] main: url" in told
    for piece in PASSWORD.split("-"):
        assert piece not in told


def test_an_identity_in_place_of_a_recipient_is_never_echoed() -> None:
    for place in (f'["{IDENTITY}"]', f'"{IDENTITY}"', f'["{RECIPIENT}", "{IDENTITY}"]', f'[["{IDENTITY}"]]'):
        told = refusal(edited('["' + RECIPIENT + '"]', place))
        assert "recipients" in told
        assert str(IDENTITY)[16:] not in told.upper()


def test_no_refusal_of_another_field_quotes_a_secret_from_the_environment() -> None:
    told = refusal(edited('"redkeep"', '"${TOKEN}"'), TOKEN=f"{PASSWORD}:")
    assert "control.namespace" in told
    assert PASSWORD not in told


# -- which file ------------------------------------------------------------------------------------------


def test_the_named_file_counts_then_the_variable_then_the_system_wide_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "redkeep.toml").write_text("never read")
    assert where() == Path("/etc/redkeep/redkeep.toml")
    monkeypatch.setenv("REDKEEP_CONFIG", "/a.toml")
    assert where() == Path("/a.toml")
    assert where(Path("/b.toml")) == Path("/b.toml")


def test_a_file_that_is_not_there_or_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsMissing, match="no settings file at"):
        load(tmp_path / "none.toml")
    with pytest.raises(SettingsMissing, match="is a directory"):
        load(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsMissing, match="not UTF-8"):
        load(tmp_path / "bytes.toml")


def test_current_settings_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "redkeep.toml"
    path.write_text(EXAMPLE)
    monkeypatch.setenv("REDKEEP_CONFIG", str(path))
    settings.current.cache_clear()
    try:
        first = settings.current()
        path.write_text("broken")
        assert settings.current() is first
    finally:
        settings.current.cache_clear()


def test_a_target_is_found_by_name_and_an_unknown_one_lists_those_there_are() -> None:
    found = read(EXAMPLE)
    assert target_of(found, "main") is found.target[0]
    with pytest.raises(UnknownTarget) as caught:
        target_of(found, "mian")
    assert caught.value.hint == "Use one of: main."
