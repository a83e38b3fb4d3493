"""Alarms: each is told once, then a reminder a day, then once that it is over.

In reading order: ``course`` (pure: what is to be told now), ``standing`` (what stands in the control Redis). Whoever
tells does so between the two: what could not be told is settled as untold and comes again with the next look.
"""

from tasks.alarms.course import Alarm, Change, Standing, course
from tasks.alarms.standing import Alarms, parsed

__all__ = ["Alarm", "Alarms", "Change", "Standing", "course", "parsed"]
