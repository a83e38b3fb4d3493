"""How the page gets into Flower without a fork: handlers before its own, and a loader of templates that knows ours."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import flower  # type: ignore[import-untyped]
from flower import urls
from tornado.template import Loader, Template
from tornado.web import StaticFileHandler, url

from tasks import metrics
from tasks.settings import current
from tasks.status import Observer

__all__ = ["CONFIG", "STATIC", "TEMPLATES", "Loading", "install", "observer"]

CONFIG = Path(__file__).parent / "flowerconfig.py"
TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"
FLOWERS = Path(flower.__file__).parent / "templates"

LINK = """
        <li class="nav-item">
          <a class="nav-link{% if active_tab == 'redkeep' %} active{% end %}"
            href="{{ reverse_url('redkeep') }}"
            {% if active_tab == 'redkeep' %}aria-current="page"{% end %}>Redkeep</a>
        </li>
"""
RUN = """
      {% if (task.name or '').startswith('tasks.') %}
      <a class="btn btn-outline-primary" href="{{ reverse_url('redkeep-run', task.uuid) }}">Run record</a>
      {% end %}
"""
HEAD = "{% block redkeep_head %}{% end %}"
GRAFTS = {
    "base.html": ("</head>", HEAD, "before"),
    "navbar.html": ("</ul>", LINK, "before"),
    "task.html": ('<div class="detail-actions">', RUN, "after"),
}
"""What is put into Flower's own templates, and at the first of which words."""


@cache
def observer() -> Observer:
    """This process's observer, made when it is first wanted."""
    return Observer(current())


def install() -> None:
    """Add the page to whatever Flower application is made from now on. Once is enough; twice does no harm."""
    if "template_loader" in urls.settings:
        return
    from tasks.dashboard import api, pages, start  # noqa: PLC0415  which ask for the observer here

    metrics.serve(lambda: observer().context(patient=False))

    urls.settings["template_loader"] = Loading(str(FLOWERS))
    urls.handlers[:0] = [
        url(r"/redkeep", pages.Overview, name="redkeep"),
        url(r"/redkeep/target/([^/]+)", pages.TargetPage, name="redkeep-target"),
        url(r"/redkeep/run/([^/]+)", pages.RunPage, name="redkeep-run"),
        url(r"/redkeep/start", start.Start, name="redkeep-start"),
        url(r"/redkeep/api/status", api.Status),
        url(r"/redkeep/api/target/([^/]+)", api.OneTarget),
        url(r"/redkeep/api/runs", api.Runs),
        url(r"/redkeep/api/run/([^/]+)", api.OneRun),
        url(r"/metrics", api.Metrics),
        url(r"/redkeep/static/(.*)", StaticFileHandler, {"path": str(STATIC)}, name="redkeep-static"),
    ]


class Loading(Loader):
    """Our templates, else Flower's, some of those with a graft of ours."""

    def _create_template(self, name: str) -> Template:
        ours = TEMPLATES / name
        text = (ours if ours.is_file() else FLOWERS / name).read_text(encoding="utf-8")
        return Template(_grafted(name, text), name=name, loader=self)


def _grafted(name: str, text: str) -> str:
    """A Flower that looks otherwise than expected loses the link, and nothing else."""
    where, graft, side = GRAFTS.get(name, ("", "", ""))
    if not where:
        return text
    return text.replace(where, graft + where if side == "before" else where + graft, 1)
