"""The page inside Flower: whether the data is safe, told where people already look.

    from tasks import dashboard
    dashboard.install()               # before Flower makes its application; flowerconfig.py does

Nothing of Flower is forked: handlers are added to its list, and a template loader puts a link into its navigation bar
and onto its page of a task. In reading order: ``views`` (a context in words, ready for the templates), ``chart``,
``pages`` (the handlers), ``api`` (the same as JSON), ``plug`` (how all that gets into Flower).
"""

from tasks.dashboard.plug import CONFIG, install, observer

__all__ = ["CONFIG", "install", "observer"]
