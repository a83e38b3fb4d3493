"""How everything stands: one picture for the page inside Flower, the terminal, the metrics and the alarms. Reads only.

    with Observer(settings) as observer:
        context = observer.context()
        context.state, context.targets[0].freshness.words

In reading order: ``picture`` (what a context holds), ``ledger`` (what the control Redis says, in four round trips),
``observer`` (both put together), ``told`` (the same as JSON). What the store says comes through tasks/inventory, how
it is judged through tasks/freshness.py.
"""

from tasks.status.observer import Observer
from tasks.status.picture import Context, RunPage, TargetStatus, Wanted
from tasks.status.told import as_json, run_as_json

__all__ = ["Context", "Observer", "RunPage", "TargetStatus", "Wanted", "as_json", "run_as_json"]
