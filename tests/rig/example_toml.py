"""The settings file that the product promises, whole, for tests that change one thing in it."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pyrage
import pytest

from tasks.errors import SettingsInvalid
from tasks.settings import Settings, parse

IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = str(IDENTITY.to_public())
PASSWORD = "hunter2-correct-horse"
FILE = Path("/etc/redkeep/redkeep.toml")

EXAMPLE = """
[control]
url = "redis://127.0.0.1:6390/0"
namespace = "redkeep"
history = { runs = 1000, days = 90 }
lease_ttl = "60s"
visibility = "5m"

[log]
format = "text"

[store]
url = "s3://site-backups/redis"
endpoint_url = "http://127.0.0.1:9000"
region = "us-east-1"
part_size = "16MiB"
concurrency = 4
storage_class = "STANDARD_IA"
object_lock = "30d"

[encryption]
recipients = ["RECIPIENT"]
identity_files = ["/etc/redkeep/identity.txt"]
signing_key_file = "/etc/redkeep/signing.pem"
trusted_signers = ["SIGNER"]

[[target]]
name = "main"
url = "redis://127.0.0.1:6379"
data_dir = "/var/lib/redis"
worker = "db1"
host = "db1"

[target.persistence]
enforce = "apply"
schedule = "17 * * * *"
save = ""
appendonly = "yes"
appendfsync = "everysec"
[target.persistence.config]
no-appendfsync-on-rewrite = "no"

[target.guard]
max_fork_ms = 500
min_free_memory = "256MiB"
min_free_disk = "10%"

[target.backup]
schedule = "7 * * * *"
source = "auto"
compression = "zstd:1"
server_compression = "off"
keep = { last = 3, hourly = 48, daily = 30, weekly = 8, monthly = 12 }
max_age = "2h"
freeze_on_shrink = 0.5

[target.rewrite]
schedule = "33 3 * * *"

[target.verify]
schedule = "13 4 * * *"

[target.drill]
schedule = "43 4 * * *"
redis_server = "/usr/local/bin/redis-server"
min_keys = 1000
min_share_of_previous = 0.5
expect = [{ key = "config:site", exists = true }]

[target.tidy]
schedule = "37 * * * *"
time_budget = "20m"
max_latency = "5ms"
max_share = 0.25
needs_backup_within = "2h"
copies_for = "30d"
protect = ["config:*"]

[[target.tidy.rule]]
name = "old sessions"
match = "session:*"
type = "string"
idle = "30d"
action = "delete"

[[target.tidy.rule]]
name = "daily counters"
match = "metric:*"
stamp = { regex = ':(\\d{8})$', format = "%Y%m%d", older_than = "90d" }
action = "delete"
keep_copy = true

[[target.tidy.rule]]
name = "feeds"
match = "feed:*"
type = "list"
action = { trim_to = 1000 }

[[target.tidy.rule]]
name = "samples"
match = "samples:*"
type = "zset"
action = { drop_scores_older_than = "7d" }

[[target.tidy.rule]]
name = "carts without an end"
match = "cart:*"
ttl = "none"
action = { expire_in = "14d" }

[[target.tidy.rule]]
preset = "celery"

[alerts]
heartbeat_url = "https://hooks.example/1"
webhook_url = "https://hooks.example/2"
""".replace("RECIPIENT", RECIPIENT).replace("SIGNER", base64.b64encode(os.urandom(32)).decode())


def read(text: str, folder: Path = FILE.parent, **environment: str) -> Settings:
    return parse(text, environment, folder / FILE.name)


def edited(old: str, new: str) -> str:
    """The example with one thing otherwise."""
    assert EXAMPLE.count(old), old
    return EXAMPLE.replace(old, new, 1)


def refusal(text: str, **environment: str) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        read(text, **environment)
    return str(caught.value)
