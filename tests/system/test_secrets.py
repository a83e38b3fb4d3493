"""No password, key or identity is ever written anywhere but where it was given.

Every secret of one installation carries a mark. Then everything that happens in it is looked through for the marks.
"""

from __future__ import annotations

import json
import os
import secrets
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from rig import s3
from rig.commands import CELERY, REDKEEP, ROOT, Done, Running, at_once, environment, here, redkeep, run
from rig.keep import eventually
from rig.ports import ReservedPort
from rig.redis_servers import RedisServer

from tasks.beginning import begin
from tasks.control import connect
from tasks.errors import AlertUndelivered
from tasks.settings import load

pytestmark = pytest.mark.timeout(180)


def marked(what: str) -> str:
    """A secret that has to be percent-encoded in a URL, and whose middle is found whatever was done to its rest."""
    return f"/{what}{secrets.token_hex(6)}#:"


@dataclass
class Site:
    """An installation full of marked secrets."""

    config: Path
    environment: dict[str, str]
    marks: dict[str, str]
    server: RedisServer
    address: str = ""
    login: str = ""
    running: list[Running] = field(default_factory=list)

    def assert_clean(self, where: str, text: str) -> None:
        found = [what for what, mark in self.marks.items() if mark in text]
        assert found == [], f"{where} shows {found}"


@pytest.fixture(scope="module")
def site(control: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("secrets")
    passwords = {what: marked(what) for what in ("control", "target", "flower")}
    keeper = f"keeper on >{passwords['target']} ~* &* +@all"
    port = ReservedPort()
    with (
        RedisServer(control.flavour, password=passwords["control"]) as ours,
        RedisServer(control.flavour, users=["default off -@all", keeper]) as server,
        s3.rclone(folder / "s3") as bucket,
    ):
        bucket.make_bucket("site-backups")
        files = begin(
            folder / "conf",
            control=ours.url,
            store="s3://site-backups/redis",
            server=f"redis://keeper:{quote(passwords['target'], safe='')}@127.0.0.1:{server.port}",
            data_dir=str(server.dir),
            endpoint_url=bucket.endpoint_url,
            region="us-east-1",
        )
        alerts = {what: marked(what) for what in ("webhook", "heartbeat")}
        nobody = f"http://127.0.0.1:{port.number}"
        urls = "".join(f'{what}_url = "{nobody}{mark.strip("#:")}"\n' for what, mark in alerts.items())
        text = files.settings.read_text().replace("# identity_files", "identity_files")
        files.settings.write_text(f"{text}\n[alerts]\n{urls}")
        pem = files.signing_key.read_text().splitlines()
        identity = next(line for line in files.identity.read_text().splitlines() if line.startswith("AGE-SECRET"))
        made = Site(
            files.settings,
            bucket.environment,
            {what: text.strip("/#:") for what, text in (passwords | alerts).items()}
            | {"access key": bucket.access_key, "secret key": bucket.secret_key, "signing key": pem[1]}
            | {"identity": identity, "identity in part": identity[20:60]},
            server,
            f"http://127.0.0.1:{port.number}",
            f"ops:{passwords['flower'].replace(':', '')}",
        )
        given: dict[str, Any] = {"config": files.settings, **bucket.environment}
        with (
            Running("worker", "backup", "housekeeping", "--loglevel", "debug", **given) as worker,
            Running("beat", "--schedule", folder / "beat", "--loglevel", "debug", **given) as beat,
            Running("flower", "--port", port.number, **given, FLOWER_BASIC_AUTH=made.login) as flower,
        ):
            worker.until("ready.")
            beat.until("beat: Starting...")
            made.running = [worker, beat, flower]
            eventually(lambda: asked(made, "/api/workers?refresh=1"))
            done = redkeep("run", "backup", "main", "--json", config=made.config, **made.environment)
            assert done.code == 0, done.err
            told = redkeep("run", "watch", "main", "--json", config=made.config, **made.environment)
            assert told.code == AlertUndelivered.code  # Flower answers there, and takes no heartbeat
            yield made
    port.release()


def asked(site: Site, path: str) -> str:
    """What Flower answers."""
    login = b64encode(site.login.encode()).decode()
    request = urllib.request.Request(site.address + path, headers={"Authorization": f"Basic {login}"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return str(answer.read().decode(errors="replace"))
    except OSError:
        return ""


def in_redis(client: Any) -> Iterator[tuple[str, str]]:
    """Every key of the control Redis with all its content."""
    readers = {
        "string": client.get,
        "hash": client.hgetall,
        "list": lambda key: client.lrange(key, 0, -1),
        "set": client.smembers,
        "zset": lambda key: client.zrange(key, 0, -1),
        "none": lambda key: "it has expired meanwhile",
    }
    for key in client.scan_iter(count=1000):
        yield key, f"{key} {readers[client.type(key)](key)}"


def test_the_marks_would_be_found(site: Site) -> None:
    """The search itself works: each mark stands where it was given, and only there."""
    assert site.marks["control"] in site.config.read_text()
    assert site.marks["target"] in site.config.read_text()
    assert len(set(site.marks.values())) == len(site.marks)
    with pytest.raises(AssertionError):
        site.assert_clean("the settings file", site.config.read_text())


def test_records_and_results_hold_none(site: Site) -> None:
    client = connect(load(site.config).control)
    seen = dict(in_redis(client))
    assert any("celery-task-meta" in key for key in seen)
    assert any(":run:" in key for key in seen)
    for key, text in seen.items():
        site.assert_clean(key, text)
    client.close()


def test_flower_shows_none(site: Site) -> None:
    tasks = json.loads(asked(site, "/api/tasks"))
    assert tasks
    paths = ["/", "/workers", "/tasks", "/broker", "/metrics", "/api/tasks", "/api/workers?refresh=1"]
    paths += [f"/worker/{name}" for name in json.loads(asked(site, "/api/workers"))]
    paths += [f"{page}/{task}" for task in tasks for page in ("/task", "/api/task/info", "/api/task/result")]
    answers = {path: asked(site, path) for path in paths}
    assert "broker_url" in answers["/api/workers?refresh=1"]
    for path, answer in answers.items():
        site.assert_clean(f"Flower's {path}", answer)


REPORTS = ["report", "inspect conf"]
COMMANDS = ["status --json", "check", "history --json", "backups main --json", "run backup main --inline"]


@pytest.fixture(scope="module")
def said(site: Site) -> dict[str, Done]:
    """What Celery's commands and ours say, all at their best."""
    env = environment(site.config, **site.environment)
    asked = {each: partial(run, [CELERY, "-A", "tasks", *each.split()], env=env, cwd=ROOT) for each in REPORTS}
    asked |= {each: partial(run, [REDKEEP, *each.split()], env=env) for each in COMMANDS}
    return at_once(asked)


@pytest.mark.parametrize("command", [*REPORTS, *COMMANDS])
def test_no_command_prints_one(site: Site, said: dict[str, Done], command: str) -> None:
    done = said[command]
    assert done.code == 0, done.out + done.err
    site.assert_clean(command, done.out + done.err)


def test_the_store_holds_none(site: Site) -> None:
    from tasks.store import open_store

    with pytest.MonkeyPatch.context() as patch:
        for name, value in site.environment.items():
            patch.setenv(name, value)
        store = open_store(**load(site.config).store.arguments())
        found = list(store.list(""))
        assert len(found) >= 2
        for each in found:
            site.assert_clean(each.key, each.key + b"".join(store.get(each.key)).decode(errors="replace"))


def test_no_process_shows_one_in_its_command_line(site: Site) -> None:
    groups = {each.pid for each in site.running}
    seen = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(entry.name)) in groups:
                seen.append((entry / "cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue
    assert len(seen) >= len(groups)
    site.assert_clean("a command line", "\n".join(seen))


def test_no_form_of_the_settings_shows_one(site: Site) -> None:
    settings = load(site.config)
    for form in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        site.assert_clean("the settings", form)


def test_no_error_quotes_one(site: Site, tmp_path: Path) -> None:
    """Each secret is made a wrong one in turn; the wrong one is no less a secret."""
    text = site.config.read_text()
    for what, code in (("control", 20), ("target", 31)):
        broken = tmp_path / "conf" / f"{what}.toml"
        broken.parent.mkdir(exist_ok=True)
        broken.write_text(text.replace(site.marks[what], site.marks[what] + "wrong"))
        for name in ("identity.txt", "signing.pem"):
            (broken.parent / name).write_bytes((site.config.parent / name).read_bytes())
        said = redkeep("run", "backup", "main", "--inline", config=broken, **site.environment)
        assert said.code == code, said.err
        site.assert_clean(f"a wrong {what} password", said.out + said.err)
    checked = redkeep("check", config=broken, **site.environment)
    assert checked.code == 58
    site.assert_clean("check of a wrong password", checked.out + checked.err)
    wrong = site.environment | {"AWS_SECRET_ACCESS_KEY": site.marks["secret key"] + "wrong"}
    said = here("backups", "main", config=site.config, **wrong)
    assert said.code in (51, 56), said.err
    site.assert_clean("a wrong secret key", said.out + said.err)


@pytest.mark.parametrize("old", ["redis://", "127.0.0.1:", "%23", "[store]", "recipients = "])
def test_no_refusal_of_settings_quotes_one(site: Site, tmp_path: Path, old: str) -> None:
    broken = tmp_path / "redkeep.toml"
    broken.write_text(site.config.read_text().replace(old, "%2F?x" if old == "%23" else "nonsense", 1))
    said = here("history", config=broken)
    site.assert_clean("an error in the settings", said.out + said.err)


def test_no_log_holds_one(site: Site) -> None:
    """Last, when all of the above has been logged at its most talkative."""
    for process, name in zip(site.running, ("worker", "beat", "flower"), strict=True):
        assert process.log
        site.assert_clean(f"the log of {name}", process.log)
