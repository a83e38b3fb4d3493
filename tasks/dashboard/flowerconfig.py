"""Flower's settings for redkeep: ``celery -A tasks flower --conf=tasks/dashboard/flowerconfig.py``.

Flower executes this file before it makes its application. ``redkeep flower`` names it by itself.
"""

from tasks import dashboard

dashboard.install()
