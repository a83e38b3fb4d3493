"""One Redis or Valkey under care. In reading order: ``wire`` (a connection that answers in raw replies), ``refusals``
(what an error answer means), ``info`` (INFO read), ``server`` (what it is and does, and the waits for it)."""

from tasks.server.info import parse_info, parse_keyspace
from tasks.server.server import POLL, Checkpoint, Server
from tasks.server.wire import Word

__all__ = ["POLL", "Checkpoint", "Server", "Word", "parse_info", "parse_keyspace"]
