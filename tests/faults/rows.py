"""The table of docs/reliability.md: what was done to which part, what is promised, and the tests that see to it.

A test is named by its file and the beginning of its name; every one of its variants counts. The order is the reader's.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ROWS", "Row", "fits"]

NOTHING = (
    "no manifest, no upload, no temporary file, the server's settings as they were, a named error; "
    "the next run succeeds"
)
ONE = "exactly one backup for the slot, whole; nothing beside it"


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        to: what it was done to. how: with which means.
        tests: like ``system/test_source_follow.py::test_a_server_killed``.
    """

    to: str
    fault: str
    how: str
    promise: str
    tests: tuple[str, ...]


def fits(node: str, row: Row) -> bool:
    """Whether a test is one of those that the row names."""
    return any(node.startswith(f"tests/{each}") for each in row.tests)


ROWS = (
    # -- a backup: its source --
    Row(
        "backup",
        "the server dies in the middle of its save",
        "kill -9 of the server; by `follow` and by `stream`",
        NOTHING,
        (
            "system/test_source_follow.py::test_a_server_killed_in_the_middle",
            "system/test_source_stream.py::test_a_server_killed_in_the_middle",
        ),
    ),
    Row(
        "backup",
        "the save's child dies",
        "kill -9 of the child; by `follow` and by `stream`",
        NOTHING,
        (
            "system/test_source_follow.py::test_a_killed_save_child",
            "system/test_source_stream.py::test_a_save_child_killed",
        ),
    ),
    Row(
        "backup",
        "the connection is cut or falls silent in the middle",
        "a TCP proxy that resets, and one that stops",
        NOTHING,
        (
            "system/test_source_stream.py::test_a_connection_cut",
            "system/test_source_stream.py::test_a_server_that_falls_silent",
        ),
    ),
    Row(
        "backup",
        "another save, an orphan's or a neighbour's file is there",
        "a real second server in the same folder, a killed server's child, stale files",
        "only this server's own save is taken, or none",
        ("system/test_source_neighbours.py::",),
    ),
    Row(
        "backup",
        "the server cannot be reached, refuses, is loading, is a replica, or keeps saving",
        "stopped servers, wrong logins, renamed commands, replicas, slow loading, a save that does not end",
        "a named error before any fork, with what to do; or it is waited for",
        (
            "system/test_backup_refusals.py::test_a_server",
            "system/test_backup_refusals.py::test_a_login",
            "system/test_backup_refusals.py::test_a_command",
            "system/test_backup_refusals.py::test_a_replica",
            "system/test_source_neighbours.py::test_a_save_that_does_not_end",
        ),
    ),
    # -- a backup: its store --
    Row(
        "backup",
        "the store fails at one step for good",
        "503, reset connections: at the upload's beginning, a part, its completion, the manifest",
        NOTHING,
        ("system/test_backup_faults.py::test_a_step_that_fails_for_good",),
    ),
    Row(
        "backup",
        "the store fails once, or its answer is lost",
        "503, resets, and requests that were done while their replies were not sent",
        ONE,
        (
            "system/test_backup_faults.py::test_a_step_that_fails_once",
            "system/test_backup_faults.py::test_a_manifest_that_was_written_while",
            "contract/test_s3_faults.py::test_a_completion_whose_reply",
            "contract/test_s3_faults.py::test_put_once_survives",
        ),
    ),
    Row(
        "backup",
        "the store is gone when the rest is to be taken back",
        "every delete and abort fails as well",
        "the record says what may be left, and the next attempt takes it",
        (
            "system/test_backup_faults.py::test_what_could_not_be_taken_back",
            "system/test_backup_faults.py::test_an_upload_whose_abort_failed",
        ),
    ),
    Row(
        "backup",
        "the store is slow",
        "a proxy that holds every part; the server must not wait for it",
        "the server's child ends when it would have, the backup is whole",
        ("system/test_source_stream.py::test_a_slow_store", "system/test_source_stream.py::test_a_store_that_fails"),
    ),
    Row(
        "backup",
        "a disk is full",
        "a file system of 8 MiB for the store's folder",
        NOTHING,
        (
            "system/test_backup_refusals.py::test_a_folder_that_is_full",
            "system/test_backup_refusals.py::test_a_disk_that_is_full",
            "contract/test_directory_faults.py::test_a_full_disk",
        ),
    ),
    Row(
        "backup",
        "something else stands, or comes to stand, under the manifest's name",
        "another run's manifest, and bytes that are none, before and in the middle",
        "what stands there wins; ours is taken back",
        ("system/test_backup_commit.py::",),
    ),
    # -- a run: its worker --
    Row(
        "any run",
        "a worker is killed",
        "kill -9 of a worker and of its pool's child, in mid-save, in mid-upload, after the commit",
        "the record reads `died`; the message comes back and the run ends as " + ONE,
        (
            "system/test_frame_workers.py::test_a_killed",
            "system/test_backup_faults.py::test_what_a_killed_worker_left",
            "system/test_backup_faults.py::test_a_worker_killed_right_after",
            "system/test_source_follow.py::test_a_worker_killed_right_after",
            "unit/test_job_again.py::test_after_a_kill",
            "system/test_frame_faults.py::test_at_default_settings",
        ),
    ),
    Row(
        "any run",
        "a worker is paused for longer than all its leases, and another takes over",
        "SIGSTOP before each exchange with the store in turn; two attempts paused in turn",
        ONE,
        ("system/test_backup_paused.py::",),
    ),
    Row(
        "any run",
        "the whole machine stands still for longer than every lease, and goes on",
        "SIGSTOP and SIGCONT of a worker's whole process group under a running broker",
        "another worker takes the run over; the first one stops when it wakes up; " + ONE,
        ("system/test_frame_faults.py::test_a_machine",),
    ),
    Row(
        "any run",
        "a worker is told to end",
        "SIGTERM in the middle",
        "it ends what it is at, or gives the message back",
        (
            "system/test_frame_faults.py::test_a_worker_told_to_end",
            "system/test_frame_workers.py::test_a_worker_that_is_asked",
            "unit/test_job_alone.py::test_a_worker_told_to_go",
        ),
    ),
    Row(
        "any run",
        "what takes its worker along each time",
        "a run that dies again and again",
        "given up after three",
        ("unit/test_job_again.py::test_work_that_takes",),
    ),
    # -- a run: the control Redis --
    Row(
        "any run",
        "the control Redis is gone, comes back, or comes back empty",
        "kill -9 and restart with and without its data, at the beginning, in the middle, at the end",
        "the run goes on, or stops before its commit and begins anew",
        ("unit/test_job_again.py::test_a_control_redis", "unit/test_job_again.py::test_an_end_that_cannot"),
    ),
    Row(
        "any run",
        "the broker is restarted, or its connections are cut",
        "kill -9 and restart; a TCP proxy that resets them all",
        "the run goes on or is delivered again, the worker takes the next message; " + ONE,
        ("system/test_frame_faults.py::test_a_broker",),
    ),
    Row(
        "any run",
        "the lease is lost, or taken by another",
        "the key is removed, or another's, in the middle",
        "it stops at its next checkpoint, before any commit; what another holds stays with it",
        (
            "unit/test_job_alone.py::test_a_lost_lease",
            "unit/test_job_alone.py::test_a_lease_lost",
            "unit/test_job_alone.py::test_what_another_took",
            "unit/test_lease.py::",
        ),
    ),
    Row(
        "any run",
        "a run longer than the broker's visibility timeout",
        "a save three times as long",
        "it runs once",
        ("system/test_frame_workers.py::test_a_run_longer",),
    ),
    Row(
        "any run",
        "the same message twice, one slot from two beats",
        "both sent to two real workers",
        ONE + "; both answers are the same",
        (
            "system/test_frame_workers.py::test_one_",
            "unit/test_job_again.py::test_a_duplicate",
            "unit/test_job_alone.py::test_two_runs_of_one_slot",
            "system/test_celery_commands.py::test_a_beat_that_was_away",
        ),
    ),
    Row(
        "the protocol",
        "every order of steps, deaths, second deliveries and ended keys",
        "a search through a model of record, slot, lease and manifest; the model is held to the code by random walks",
        "at most one backup a slot, whole at every moment, and one in the end",
        ("model/test_protocol.py::",),
    ),
    # -- enforce, rewrite, the guard --
    Row(
        "rewrite",
        "the server dies, its AOF disk fills up, the fork is refused, a foreign save never ends",
        "kill -9, a file system of a few MiB, a memory limit, saves held open",
        "named, with the temporary file; nothing is lost; deferred for good where it must be",
        ("system/test_rewrite.py::", "system/test_gate.py::"),
    ),
    Row(
        "two jobs",
        "a backup and a rewrite due together, two servers of one machine, rewrites that the server starts itself",
        "real workers, watched by the servers' own fork statistics",
        "one after the other, both done, both waits recorded",
        ("system/test_arbiter.py::",),
    ),
    # -- tidy --
    Row(
        "tidy",
        "clients touch, change and find keys while they are judged and removed",
        "concurrent writers on four servers, against a model",
        "no key goes that was touched after it was judged",
        (
            "system/test_tidy_touched.py::test_a_key_that_is_touched",
            "system/test_tidy_touched.py::test_no_key_goes_that",
            "system/test_tidy_sweep.py::test_the_sweep_takes_exactly",
        ),
    ),
    Row(
        "tidy",
        "the server dies, a save begins, the lease is lost, the clock was set back, the backup is old",
        "each for real",
        "it stops or waits; the next run goes on from its place",
        (
            "system/test_tidy.py::test_nothing_goes_without",
            "system/test_tidy.py::test_more_than_its_share",
            "system/test_tidy.py::test_after_its_clock",
            "system/test_tidy_ends.py::test_a_lease_that_is_lost",
            "system/test_tidy_ends.py::test_a_waiting_backup",
            "system/test_tidy_touched.py::test_a_server_that_dies",
            "system/test_tidy_touched.py::test_nothing_is_asked_while",
            "system/test_tidy_touched.py::test_a_cancel_in_the_middle",
        ),
    ),
    Row(
        "tidy with copies",
        "ended or killed at any step, the store away, keys that change after they were copied",
        "kill -9 of the worker, an end at each exchange, a store that refuses",
        "nothing is gone that is not in the archive; what changed stays; every value of every type comes back",
        (
            "system/test_copies.py::",
            "system/test_tidy_copies.py::",
            "system/test_untidy.py::",
        ),
    ),
    # -- alarms --
    Row(
        "alarms",
        "a webhook that is slow, silent, fails, redirects, or is absent",
        "a real HTTP server that does each",
        "bounded tries; no backup waits; each alarm told once, reminded of, and its end told",
        ("unit/test_alerts.py::", "system/test_watch.py::", "unit/alarms/"),
    ),
    # -- verify, retention, restores --
    Row(
        "verify",
        "an object or manifest was changed, swapped, cut, or sealed to others",
        "bits flipped at every place, objects exchanged, signatures removed",
        "found, by name, with the backup's verdict kept",
        (
            "system/test_verify.py::test_a_bit",
            "system/test_verify.py::test_a_truncated",
            "system/test_verify.py::test_objects_of_two",
            "system/test_verify.py::test_a_manifest_of_another",
            "system/test_verify.py::test_an_unsigned_a_tampered",
            "system/test_verify.py::test_an_object_sealed",
            "system/test_verify.py::test_a_structure",
        ),
    ),
    Row(
        "retention",
        "killed at any step; a shrunken backup; what it cannot read",
        "a removal stopped after each of its calls",
        "the next one finishes it; the newest verified, the newest drilled and the last few never go",
        ("system/test_retention.py::", "contract/test_retention.py::", "unit/retention/test_policy.py::test_ten"),
    ),
    Row(
        "enforce",
        "the server or the worker is killed at each change of the server's settings",
        "kill -9 at every step of save points off, AOF on, on four servers; then a restart from its file",
        "every key is there; the next run goes on, or says which of two data sets counts",
        ("system/test_enforce.py::",),
    ),
    Row(
        "enforce",
        "it would not last, or may not be: no file, a read-only one, one that differs, a flag, an include, no rights, "
        "a full disk, a replica; AOF found off; settings changed back",
        "each for real",
        "AOF on live, the save points kept, the lines to write; else all as it was, and a named error",
        ("system/test_enforce_faults.py::",),
    ),
    Row(
        "restore into a folder",
        "a bad snapshot, a full disk, Ctrl-C, a kill, a second one, a server that uses the folder",
        "each for real",
        "the folder is as it was, or holds the whole snapshot; what was there is beside it",
        ("system/test_restore_dir.py::",),
    ),
    Row(
        "restore into a server",
        "cut midway, Ctrl-C at every stage, its death while loading, its full disk, strangers on the port",
        "each for real, on four servers",
        "the old data or the new, whole; its settings back; every acknowledged write after it survives a crash",
        ("system/test_restore_live.py::",),
    ),
    Row(
        "drill",
        "a snapshot that does not come back, a killed drill, no server, no memory",
        "each for real",
        "said aloud, marked, and the one before it tried; no server left",
        ("system/test_drill.py::",),
    ),
    # -- what comes in --
    Row(
        "hostile input",
        "made-up bytes for every reader",
        "property-based: RDB, its head, age, zstd, gzip, SYNC's answer, a replica's handshake, manifests, settings",
        "a named error; no hang, no unbounded memory",
        (
            "unit/stream/test_hostile.py::",
            "unit/stream/test_header.py::",
            "unit/restore/test_wire.py::",
            "unit/test_manifest.py::test_whatever",
            "unit/test_settings_hostile.py::",
        ),
    ),
    Row(
        "any run",
        "messages in the broker that redkeep never sent",
        "slots of other targets, of next year, paths and tables for names, a hundred thousand characters",
        "each fails by name; the worker takes the next message",
        ("system/test_frame_faults.py::test_messages",),
    ),
    Row(
        "secrets",
        "every password, key and identity carries a mark",
        "logs, records, results, Flower, `celery report`, process titles are searched for the marks",
        "none is found",
        ("system/test_secrets.py::", "unit/test_job_ends.py::test_no_password"),
    ),
)
