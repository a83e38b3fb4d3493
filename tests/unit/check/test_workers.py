"""The doctor on workers and beat."""

from __future__ import annotations

from rig.checked import SERVING, Installation, enlisted, found, rows

from tasks.check import check


def test_a_queue_without_a_worker_and_a_missing_beat_fail_with_the_command_to_start_them(
    installed: Installation,
) -> None:
    failed = [each for each in found(installed(), {"tidy@here": ["tidy"]}) if each.level == "fail"]
    assert [(each.told, each.remedy) for each in failed] == [
        ("no worker serves queue backup", "redkeep worker backup"),
        ("no beat answers: nothing is sent on schedule", "redkeep beat"),
    ]


def test_a_target_with_a_worker_of_its_own_needs_that_one(installed: Installation) -> None:
    settings = installed(('# worker = "db1"', 'worker = "db1"'))
    assert rows(settings, "fail")["workers"].remedy == "redkeep worker backup.db1"
    assert rows(settings, "fail", serving={"celerybeat@x": [], "db1@here": ["backup.db1"]}) == {}


def test_another_queue_to_which_the_schedule_sends_is_only_warned_of(installed: Installation) -> None:
    seen = found(installed(), {"backup@here": ["backup"], "celerybeat@here": []})
    assert [each.told for each in seen if each.level == "fail"] == []
    warned = [each for each in seen if each.what == "workers" and each.level == "warn"]
    assert [(each.told, each.remedy) for each in warned] == [
        (f"no worker serves queue {queue}, to which the schedule sends", f"redkeep worker {queue}")
        for queue in ("housekeeping", "rewrite")
    ]


# -- started with the same settings ------------------------------------------------------------------------------------


def agreement(installed: Installation) -> list[tuple[str, str]]:
    settings = installed()
    told = [each for each in check(settings, list(settings.target), lambda: SERVING) if each.what == "workers"]
    return [(each.level, each.told) for each in told if "started" in each.told or "timeout" in each.told]


def test_all_who_were_started_with_these_settings_are_well(installed: Installation) -> None:
    enlisted(installed(), *SERVING)
    assert agreement(installed) == [("ok", "all 3 were started with these settings")]


def test_whoever_was_started_with_other_settings_is_named_with_the_tables(installed: Installation) -> None:
    enlisted(installed(), *SERVING)
    installed(('# schedule = "7 * * * *"', 'schedule = "8 * * * *"'), ("# part_size", "part_size"), ("16MiB", "32MiB"))
    enlisted(installed(), "others@here", "celerybeat@here")
    assert agreement(installed) == [("warn", "backup@here was started with other settings: [[target]] main, [store]")]


def test_another_visibility_timeout_fails(installed: Installation) -> None:
    enlisted(installed(), *SERVING)
    installed(('# visibility = "5m"', 'visibility = "10m"'))
    enlisted(installed(), "others@here", "celerybeat@here")
    told = "backup@here has another visibility timeout (300 s, here 600 s)"
    assert agreement(installed) == [("fail", told)]


def test_whoever_has_not_said_so_is_named(installed: Installation) -> None:
    enlisted(installed(), "others@here", "celerybeat@here")
    assert agreement(installed) == [("warn", "backup@here has not said with which settings it was started")]
