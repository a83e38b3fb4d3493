"""A context in words: what the templates show, ready made. Pure.

A tone is one of ``good``, ``warn``, ``bad``, ``calm``, and for a run ``busy``; it colours what the words say already.
"""

from tasks.dashboard.views.runs import row, run_view
from tasks.dashboard.views.small import sentence
from tasks.dashboard.views.targets import ACTIONS, Card, card, charts, hero

__all__ = ["ACTIONS", "Card", "card", "charts", "hero", "row", "run_view", "sentence"]
