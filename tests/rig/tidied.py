"""Keys of every kind that a rule of tidy can name, and a rule for each."""

from __future__ import annotations

import redis

from rig.idle import aged

__all__ = ["RULES_OF_EVERY_KIND", "keys_of_every_kind"]

RULES_OF_EVERY_KIND = """
[target.tidy]
needs_backup_within = "30d"
max_share = 1.0
[[target.tidy.rule]]
name = "old"
match = "session:*"
idle = "30d"
size = { bytes = "1B" }
action = "delete"
[[target.tidy.rule]]
name = "lists"
match = "feed:*"
type = "list"
action = { trim_to = 10 }
[[target.tidy.rule]]
name = "streams"
match = "log:*"
type = "stream"
action = { trim_to = 10 }
[[target.tidy.rule]]
name = "zsets"
match = "top:*"
type = "zset"
size = { elements = 5 }
action = { trim_to = 10 }
[[target.tidy.rule]]
name = "scores"
match = "samples:*"
type = "zset"
action = { drop_scores_older_than = "7d" }
[[target.tidy.rule]]
name = "entries"
match = "events:*"
type = "stream"
action = { drop_entries_older_than = "7d" }
[[target.tidy.rule]]
name = "carts"
match = "cart:*"
ttl = "none"
action = { expire_in = "14d" }
[[target.tidy.rule]]
name = "hashes"
match = "h:*"
type = "hash"
size = { elements = 5 }
action = "delete"
[[target.tidy.rule]]
name = "sets"
match = "s:*"
type = "set"
size = { elements = 5 }
action = "delete"
"""
EACH = 5


def keys_of_every_kind(client: redis.Redis) -> None:
    """Five for each rule; each has something to be removed."""
    for number in range(EACH):
        client.set(f"session:{number}", "x" * 50)
        client.set(f"cart:{number}", "y")
        client.rpush(f"feed:{number}", *range(50))
        client.sadd(f"s:{number}", *range(20))
        client.hset(f"h:{number}", mapping={str(field): field for field in range(20)})
        for name in ("top", "samples"):
            client.zadd(f"{name}:{number}", {str(member): member for member in range(50)})
        for name in ("log", "events"):
            for moment in range(1, 30):
                client.xadd(f"{name}:{number}", {"a": moment}, id=f"{moment}-0")
    aged(client, [f"session:{number}" for number in range(EACH)], 40 * 86_400)
