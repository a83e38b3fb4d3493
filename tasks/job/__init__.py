"""The frame around every run: record, slot, lease, call, classify. Imports no verb.

Whoever starts a run (beat, Flower, a terminal) comes through :func:`run`. In reading order: ``ticket`` (what a
message asks for, and what a verb is given), ``frame`` (the run's life), ``pulse`` (what is kept alive meanwhile).
"""

from tasks.job.frame import run
from tasks.job.ticket import Again, Job, Ticket, Work

__all__ = ["Again", "Job", "Ticket", "Work", "run"]
