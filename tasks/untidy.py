"""untidy: bring back what a tidy run archived. archive -> fetch -> unseal -> verify -> RESTORE.

Each segment is held to its manifest as a whole before the first of its keys goes to the server. A key that is there is
left alone unless `replace` is asked for; so calling it twice, or again after it was killed, does no harm. What a key
had left of its life goes on from where the clock is now: what expired meanwhile stays away. A restored key counts as
just used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import redis

from tasks import archive
from tasks.archive import Record
from tasks.errors import (
    AgeCorrupt,
    AgeHeaderInvalid,
    ArchiveIncomplete,
    ArchiveInvalid,
    CompressionCorrupt,
    IdentityMissing,
    ObjectMissing,
    PatternInvalid,
    UntidyRefused,
)
from tasks.facts import shown
from tasks.glob import Glob
from tasks.job import Job
from tasks.keyring import identities_for
from tasks.manifest import TidiedManifest
from tasks.restore import admit
from tasks.server import Server, Word
from tasks.settings import Settings, Target
from tasks.store import Store, open_store

__all__ = ["Fates", "Homecoming", "Wish", "identities_of", "untidy"]

SPOILED = (AgeCorrupt, AgeHeaderInvalid, ArchiveInvalid, CompressionCorrupt, ObjectMissing)
"""What is wrong with one segment alone, and no reason to leave the others."""
BATCH_BYTES, BATCH_KEYS = 256 * 2**10, 100
"""What is restored in one write: a millisecond or two of the server's time."""
EXAMPLES = 5
"""Keys that the server refused that are named."""


@dataclass(frozen=True)
class Wish:
    """What is to come back.

    Attributes:
        match: a glob of key names; nothing: all.
        replace: over keys that are there by now.
        dry_run: only see what would be done; the server is asked and not changed.
    """

    match: str = ""
    replace: bool = False
    dry_run: bool = False

    def picker(self) -> Callable[[bytes], bool]:
        """Whether a key is asked for. Raises PatternInvalid."""
        try:
            return Glob(self.match or "*").matches
        except ValueError as error:
            raise PatternInvalid(f"not a glob: {self.match[:64]!r}", detail=str(error)) from None


@dataclass
class Fates:
    """How many of the archive's keys came to what.

    Attributes:
        restored: they are back; with a dry run: they would be. With `replace` a key that the run removed twice counts
            twice.
        there: a key of that name is there, and was left alone.
        expired: their time is over.
        stayed: tidy copied them and did not remove them after all.
        unmatched: not asked for.
        refused: the server would not take them.
    """

    restored: int = 0
    there: int = 0
    expired: int = 0
    stayed: int = 0
    unmatched: int = 0
    refused: int = 0


def untidy(job: Job, settings: Settings, target: Target, *, identity_files: Sequence[Path] = ()) -> None:
    """Bring back what the archive holds that the ticket names.

    Args:
        identity_files: in place of those of the settings.

    Raises:
        ArchiveUnknown: there is none.
        IdentityMissing: it is encrypted, and nobody has given this worker an identity.
        RedkeepError: as :meth:`Homecoming.run`.
    """
    options, encryption = job.ticket.options, settings.encryption
    store = open_store(**settings.store.arguments())
    wish = Wish(str(options.get("match") or ""), bool(options.get("replace")), job.ticket.dry_run)
    segments = archive.find(store, target.name, str(options.get("archive", "latest")))
    unsigned = bool(options.get("allow_unsigned"))
    for each in segments:
        job.warn(admit(each, encryption.trusted_signers, allow_unsigned=unsigned))
    identities = identities_of(segments, identity_files or encryption.identity_files)
    job.figures |= {"archive": segments[0].id, "dry_run": wish.dry_run}

    def progress(done: int, total: int) -> None:
        job.checkpoint()
        job.progress = {"phase": "restore", "bytes": done, "total": total}

    with job.phase("restore"), Server(target.url.get_secret_value()) as server:
        home = Homecoming(store, server, identities, wish, progress)
        try:
            home.run(segments)
        finally:  # what was done is told, whatever ended it
            job.figures |= asdict(home.fates)
            for told in home.told():
                job.warn(told)


def identities_of(segments: Sequence[TidiedManifest], files: Sequence[Path]) -> list[str]:
    """Those that open one of the segments open all of them: a run seals to the same recipients."""
    sealed = next((each for each in segments if "age" in each.stages), segments[0])
    try:
        return identities_for(sealed, files)
    except IdentityMissing as missing:
        missing.hint = "Call `redkeep untidy RUN TARGET --identity FILE` where the private key is; no worker needs it."
        raise


@dataclass
class Homecoming:
    """Brings the keys of segments back into one server.

    Args:
        progress: told how many sealed bytes have come, and of how many; raises where the work must stop.

    Attributes:
        refusals: what the server said of keys that it would not take, for a few of them.
        spoiled: segments that cannot be opened, and why.
    """

    store: Store
    server: Server
    identities: Sequence[str]
    wish: Wish
    progress: Callable[[int, int], None] = lambda done, total: None
    fates: Fates = field(default_factory=Fates)
    refusals: dict[str, str] = field(default_factory=dict)
    spoiled: dict[str, str] = field(default_factory=dict)
    _come: int = 0

    def run(self, segments: Sequence[TidiedManifest]) -> Fates:
        """Bring back what is asked for of these segments, given in the order in which they were written.

        The newest copy of a key counts. So the newest segment comes first, and later copies find the key there; or,
        where keys are replaced, last.

        Raises:
            ArchiveIncomplete: segments could not be opened; the keys of the others are back.
            UntidyRefused: the server took none of the keys.
            ServerRefused, ServerDenied, ...: it cannot take any now: no memory left, a replica, a right is missing.
        """
        picks = self.wish.picker()
        total = sum(each.object.bytes for each in segments)
        for manifest in segments if self.wish.replace else reversed(segments):
            try:
                self._segment(manifest, picks, total)
            except SPOILED as error:
                self.spoiled[manifest.object.key] = str(error)
        if self.spoiled:
            what, why = next(iter(self.spoiled.items()))
            told = f"{len(self.spoiled)} of {len(segments)} segments cannot be opened"
            raise ArchiveIncomplete(told, detail=f"{what}: {why}")
        if self.fates.refused and not self.fates.restored and not self.fates.there:
            raise UntidyRefused(f"{self.server.shown} took none of the keys", detail=next(iter(self.refusals.values())))
        return self.fates

    def told(self) -> list[str]:
        """What a reader should know beside the numbers."""
        return [f"the server refused {key}: {why}" for key, why in self.refusals.items()]

    def _segment(self, manifest: TidiedManifest, picks: Callable[[bytes], bool], total: int) -> None:
        stayed = archive.stayed_in(self.store, manifest)
        with archive.fetched(self.store, manifest, self.identities, lambda size: self._count(size, total)) as records:
            now = self._server_now()
            wanted = (
                record
                for number, record in enumerate(records)
                if self._is_wanted(record, picks, stayed=number in stayed, now=now)
            )
            for batch in _batches(wanted):
                self._restore(batch)
                self.progress(self._come, total)

    def _count(self, size: int, total: int) -> None:
        self._come += size
        self.progress(self._come, total)

    def _server_now(self) -> int:
        seconds, micros = self.server.ask("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    def _is_wanted(self, record: Record, picks: Callable[[bytes], bool], *, stayed: bool, now: int) -> bool:
        fates = self.fates
        if not picks(record.key):
            fates.unmatched += 1
        elif stayed:
            fates.stayed += 1
        elif record.expires is not None and record.expires <= now:
            fates.expired += 1
        else:
            return True
        return False

    def _restore(self, batch: Sequence[Record]) -> None:
        """All of one database. It is selected by itself: where that fails, nothing must go into another one."""
        self.server.ask("SELECT", batch[0].database)
        commands = [self._command(record) for record in batch]
        for command, record, answer in zip(commands, batch, self.server.replies(commands), strict=True):
            self._note(command, record, answer)

    def _command(self, record: Record) -> tuple[Word, ...]:
        if self.wish.dry_run:
            return ("EXISTS", record.key)
        replace = ("REPLACE",) if self.wish.replace else ()
        return ("RESTORE", record.key, record.expires or 0, record.payload, "ABSTTL", *replace)

    def _note(self, command: Sequence[Word], record: Record, answer: Any) -> None:
        refused = str(answer) if isinstance(answer, redis.ResponseError) else ""
        if "BUSYKEY" in refused or (command[0] == "EXISTS" and answer == 1 and not self.wish.replace):
            self.fates.there += 1
        elif "DUMP payload" in refused or "Bad data format" in refused:
            self.fates.refused += 1
            if len(self.refusals) < EXAMPLES:
                self.refusals[shown(record.key)] = refused
        elif isinstance(answer, redis.ResponseError):
            raise self.server.refusal(answer, command)
        else:
            self.fates.restored += 1


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    """Of one database each, and no larger than the server should take at once; one record may be."""
    batch: list[Record] = []
    size = 0
    for record in records:
        full = len(batch) >= BATCH_KEYS or size + len(record.payload) > BATCH_BYTES
        if batch and (full or record.database != batch[0].database):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record.payload)
    if batch:
        yield batch
