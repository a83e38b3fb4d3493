"""redkeep.toml: what is refused, by field and reason."""

from __future__ import annotations

import pytest
from rig.example_toml import EXAMPLE, IDENTITY, RECIPIENT, edited, refusal

# -- what is refused, and in which words -----------------------------------------------------------------

REFUSED = [
    # unknown keys, wherever they stand
    ("[log]", "[lgo]\n[log]", "lgo: is not a known key; did you mean 'log'?"),
    ('namespace = "redkeep"', 'name_space = "x"', "control.name_space: is not a known key; did you mean 'namespace'?"),
    ("source =", "sauce =", "[[target]] main: backup.sauce: is not a known key; did you mean 'source'?"),
    ("trim_to = 1000", "trim = 1000", "trim: is not a known key"),
    ("exists = true", "exist = true", "[[target]] main: [[drill.expect]] 1: exist: is not a known key"),
    ("time_budget", "budget", "[[target]] main: tidy.budget: is not a known key; did you mean 'time_budget'?"),
    # what must be there
    ('recipients = ["' + RECIPIENT + '"]', "", "encryption.recipients: is required"),
    ('url = "redis://127.0.0.1:6390/0"', "", "control.url: is required"),
    ('name = "main"', "", "[[target]] 1: name: is required"),
    # crontabs
    ('"7 * * * *"', '"61 * * * *"', "[[target]] main: backup.schedule: not a crontab of five fields"),
    ('"7 * * * *"', '"7 * * *"', "backup.schedule: not a crontab of five fields"),
    ('"7 * * * *"', '"@hourly"', "backup.schedule: not a crontab of five fields"),
    ('"7 * * * *"', '"0 0 31 2 *"', "never occurs"),
    ('"7 * * * *"', '"*/0 * * * *"', "backup.schedule: not a crontab"),
    ('"7 * * * *"', "7", "backup.schedule: not a crontab"),
    ('"33 3 * * *"', '""', "rewrite.schedule: not a crontab"),
    ('"37 * * * *"', '"x * * * *"', "tidy.schedule: not a crontab"),
    # URLs
    ("redis://127.0.0.1:6390/0", "http://127.0.0.1", "control.url: not a Redis URL"),
    ("redis://127.0.0.1:6390/0", "127.0.0.1:6390", "control.url: not a Redis URL"),
    ("redis://127.0.0.1:6390/0", "redis://h:99999", "control.url: not a Redis URL"),
    ("redis://127.0.0.1:6390/0", "redis://[h", "control.url: not a Redis URL"),
    ("redis://127.0.0.1:6390/0", "redis://h/zero", "the path of a Redis URL is the number of a database"),
    ("redis://127.0.0.1:6390/0", "redis://h?retries=3", "an option that does not exist"),
    ("redis://127.0.0.1:6379", "redis://h:x", "[[target]] main: url: not a Redis URL"),
    ("s3://site-backups/redis", "s3:///redis", "store.url: a store is"),
    ("s3://site-backups/redis", "ftp://x", "store.url: a store is"),
    ("http://127.0.0.1:9000", "http://key:secret@127.0.0.1", "store.endpoint_url: an endpoint is"),
    ("http://127.0.0.1:9000", "127.0.0.1:9000", "store.endpoint_url: an endpoint is"),
    ("https://hooks.example/1", "hooks.example", "alerts.heartbeat_url: not a URL"),
    ("https://hooks.example/2", "ftp://hooks.example", "alerts.webhook_url: not a URL"),
    # keys
    ('["' + RECIPIENT + '"]', "[]", "encryption.recipients: name at least one recipient"),
    (RECIPIENT, str(IDENTITY), "number 1 is a private key"),
    (RECIPIENT, str(IDENTITY).lower(), "number 1 is a private key"),
    (RECIPIENT, RECIPIENT[:-1], "number 1 is not an age recipient"),
    (RECIPIENT, "ssh-ed25519 AAAA", "number 1 is not an age recipient"),
    ('["' + RECIPIENT + '"]', '"all"', 'recipients: recipients is a list of public keys, or "none"'),
    ('["' + RECIPIENT + '"]', f'"{RECIPIENT}"', 'recipients: recipients is a list of public keys, or "none"'),
    ("trusted_signers = [", 'trusted_signers = ["xyz", ', "a signer is an Ed25519 public key"),
    # numbers without a unit, and out of their bounds
    ('"60s"', "60", "control.lease_ttl: a duration is a number and a unit"),
    ('"60s"', '"60"', "control.lease_ttl: a duration is a number and a unit"),
    ('"60s"', '"-60s"', "control.lease_ttl: a duration is a number and a unit"),
    ('"60s"', '"0s"', "control: lease_ttl is at least 1s and not above visibility"),
    ('"60s"', '"6m"', "control: lease_ttl is at least 1s and not above visibility"),
    ('"5m"', '"5m"\npatience = "151s"', "patience is above 0s and below half of visibility"),
    ('"5m"', '"5m"\npatience = "0s"', "patience is above 0s and below half of visibility"),
    ('"16MiB"', "16", "store.part_size: a size is a number and a unit"),
    ('"16MiB"', '"16MB"', "store.part_size: a size is a number and a unit"),
    ('"16MiB"', '"1MiB"', "store.part_size: parts are from 5MiB to 5GiB"),
    ("concurrency = 4", "concurrency = 0", "store.concurrency: input should be greater"),
    ('"10%"', '"110%"', "guard.min_free_disk: a share of the disk is at most 100%"),
    ('"10%"', "10", "guard.min_free_disk: a size is a number and a unit"),
    ("last = 3", "last = 0", "backup.keep.last: input should be greater"),
    ("runs = 1000", "runs = 0", "control.history.runs: input should be greater"),
    ("freeze_on_shrink = 0.5", "freeze_on_shrink = 2", "backup.freeze_on_shrink"),
    # words
    ('"redkeep"', '"red:keep"', "control.namespace: a namespace is up to 32"),
    ('"redkeep"', '""', "control.namespace: a namespace is up to 32"),
    ('"redkeep"', '"' + 33 * "x" + '"', "control.namespace: a namespace is up to 32"),
    ('name = "main"', 'name = "../main"', "[[target]] ../main: name: a name is up to 63"),
    ('worker = "db1"', 'worker = "db 1"', "[[target]] main: worker: a name is up to 63"),
    ('"zstd:1"', '"zstd:20"', "backup.compression: compression is"),
    ('"zstd:1"', '"lz4"', "backup.compression: compression is"),
    ('source = "auto"', 'source = "copy"', "backup.source: input should be"),
    ('enforce = "apply"', 'enforce = true', "persistence.enforce: input should be"),
    ('format = "text"', 'format = "xml"', "log.format: input should be"),
    # tidy's contradictions
    ('match = "session:*"', 'match = "*"', 'match = "*" takes every key there is'),
    ('match = "session:*"', 'match = "**"', 'match = "*" takes every key there is'),
    ('match = "session:*"', "", "a rule needs name, match and action"),
    ('idle = "30d"', 'idle = "30d"\nfreq = 3', "idle and freq exclude each other"),
    ('type = "list"', 'type = "hash"', "action trim_to needs type = list or zset or stream"),
    ('type = "list"', "", "action trim_to needs type"),
    ('type = "zset"', 'type = "list"', "action drop_scores_older_than needs type = zset"),
    ('{ expire_in = "14d" }', '{ expire_in = "14d", delete = true }', "name exactly one of"),
    ('{ expire_in = "14d" }', "{ }", "name exactly one of"),
    ('{ expire_in = "14d" }', '"drop"', 'an action is "delete" or a table'),
    ('preset = "celery"', 'preset = "celery"\nmatch = "x"', "a preset brings its own conditions and action"),
    ('preset = "celery"', 'preset = "rq"', "input should be 'celery'"),
    ("max_share = 0.25", 'max_copy = "1GiB"', "tidy.max_copy: max_copy is at most 64MiB"),
    ('"feed:*"', '"feed:[a"', "[[tidy.rule]] feeds: match: a glob has a [ without its ]"),
    ('["config:*"]', '["config\\\\"]', "a glob ends in a backslash"),
    ('name = "feeds"', 'name = "samples"', "tidy.rule: two rules are called 'samples'"),
    (r"':(\d{8})$'", r"':\d{8}$'", "needs exactly one group around the date, has 0"),
    (r"':(\d{8})$'", "'('", "not a regular expression"),
    (r"':(\d{8})$'", r"':((\d+)-?)*$'", "needs exactly one group around the date, has 2"),
    (r"':(\d{8})$'", r"'^(?:\w+:?)*(\d{8})$'", "stamp.regex: may search a long name for ever: a repeat"),
    (r"':(\d{8})$'", r"'^(?:a|aa)*(\d{8})$'", "stamp.regex: may search a long name for ever: alternatives"),
    (r"':(\d{8})$'", r"'.*x.*y.*(\d{8})$'", "stamp.regex: may search a long name for ever: more than 2"),
    (r"':(\d{8})$'", r"'(\d{8})\1'", "stamp.regex: refers back to a group"),
    ('"%Y%m%d"', '"date"', "not a date format"),
    ('"%Y%m%d"', '"%m%d"', "not a date format with year and month"),
    ('older_than = "90d"', 'older_than = "-90d"', "stamp.older_than: a duration is a number and a unit"),
    ('type = "string"', 'type = "text"', "[[tidy.rule]] old sessions: type: input should be 'string'"),
    ('idle = "30d"', "idle = 30", "[[tidy.rule]] old sessions: idle: a duration is a number and a unit"),
    ('save = ""', 'save = "900"', "persistence.save: save points are pairs of seconds and changes"),
    ('save = ""', 'save = "0 1"', "persistence.save: save points are pairs of seconds and changes"),
    ("no-appendfsync-on-rewrite", "requirepass", "persistence.config: requirepass does not belong here: redkeep sets"),
    ("no-appendfsync-on-rewrite", "dir", "persistence.config: dir does not belong here: it says where the data is"),
    ("no-appendfsync-on-rewrite", "save", "persistence.config: save does not belong here: it has a field of"),
    ("no-appendfsync-on-rewrite", '"ma*"', "persistence.config: 'ma*' is not the name of a setting"),
    ('idle = "30d"', 'idle = "0d"', "[[tidy.rule]] old sessions: idle: must be above 0"),
    ('idle = "30d"', 'idle = "200d"', "idle is at most 180d"),
    ('idle = "30d"', "size = { }", "[[tidy.rule]] old sessions: size: name bytes, elements, or both"),
    ('idle = "30d"', "databases = [-1]", "[[tidy.rule]] old sessions: [[databases]] 1: input should be greater"),
    ("trim_to = 1000", "trim_to = 0", "action.trim_to: input should be greater"),
    ('{ expire_in = "14d" }', "{ delete = false }", "action.delete: input should be True"),
]


NUMBERED = [f"{number}: {reason[:40]}" for number, (_, _, reason) in enumerate(REFUSED)]
"""Not by what is replaced: keys are new for each process, and all processes must know a test by one name."""


@pytest.mark.parametrize(("old", "new", "reason"), REFUSED, ids=NUMBERED)
def test_what_is_wrong_is_refused_by_field_and_reason(old: str, new: str, reason: str) -> None:
    assert reason in refusal(edited(old, new))


def test_two_targets_of_one_name_are_refused() -> None:
    twice = EXAMPLE + '[[target]]\nname = "main"\nurl = "redis://h"\n'
    assert "two targets have the same name" in refusal(twice)


def test_a_file_without_targets_is_refused() -> None:
    text = EXAMPLE.partition("[[target]]")[0]
    assert "target: is required" in refusal(text)


def test_all_that_is_wrong_is_named_at_once() -> None:
    text = EXAMPLE.replace('"7 * * * *"', '"never"').replace("s3://", "s4://").replace('"60s"', "60")
    lines = refusal(text).splitlines()
    assert len(lines) == 4
    assert "".join(lines[1:]).count(": ") >= 3
    for field in ("control.lease_ttl", "store.url", "[[target]] main: backup.schedule"):
        assert sum(field in line for line in lines) == 1


def test_what_is_not_toml_is_refused_with_its_line() -> None:
    assert "redkeep.toml is not TOML" in refusal("[control\n")
    assert "line 1" in refusal("[control\n")
