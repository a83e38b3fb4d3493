"""Rules that come with redkeep, for data whose makers are known to leave it behind. Written as anybody would write
them in redkeep.toml, so that who wants them otherwise copies them there."""

from __future__ import annotations

import tomllib

from tasks.settings.rules import Rule

__all__ = ["PRESETS"]

# What Celery and its transport, kombu, leave in their Redis; docs/tidy.md tells what was seen of each. A
# `global_keyprefix` may stand before every one of these names.
CELERY = """
[[rule]]                             # whoever asks `inspect` or `control` fetches the replies at once; what comes
name = "reply queues"                # later stays (celery 6089). Where there is a consumer, no element stays at all
match = "*.reply.celery.pidbox"
type = "list"
idle = "1h"
action = "delete"

[[rule]]                             # results of an installation with `result_expires = None` (celery 7801): they get
name = "task results"                # the day that is Celery's own default
match = "*celery-task-meta-*"
ttl = "none"
action = { expire_in = "1d" }

[[rule]]
name = "group results"
match = "*celery-taskset-meta-*"
ttl = "none"
action = { expire_in = "1d" }
"""


def _parsed(text: str) -> tuple[Rule, ...]:
    return tuple(Rule.model_validate(each) for each in tomllib.loads(text)["rule"])


PRESETS: dict[str, tuple[Rule, ...]] = {"celery": _parsed(CELERY)}
"""The rules of each preset, in the order in which they are tried."""
