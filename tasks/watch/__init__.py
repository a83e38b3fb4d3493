"""Looks at a target every few minutes, from the store's own manifests and the run records, and tells what is wrong.

In reading order: ``symptoms`` (pure: what is wrong), ``lost`` (pure: which slots are to be sent once more),
``message`` (in which words), ``look`` (one look), ``duties`` (everybody told), ``verb`` (all of it). Nothing here
remembers how a backup went: what the store has is what counts.
"""

from tasks.watch.lost import Lost
from tasks.watch.message import probe
from tasks.watch.verb import watch

__all__ = ["Lost", "probe", "watch"]
