"""HTML pages for people: one file each, nothing loaded from elsewhere, fit to print."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ENVIRONMENT = Environment(
    loader=PackageLoader("spillwatch"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, **values: object) -> str:
    """The page that ``templates/<template>`` makes of ``values``; a name it lacks is an error, not an empty spot."""
    return _ENVIRONMENT.get_template(template).render(**values)


def figure(fig: Figure, *, alt: str = "") -> Markup:
    """A matplotlib figure as an inline ``<img>``; the same figure gives the same bytes."""
    import matplotlib as mpl

    buffer = io.BytesIO()
    # Text stays text and ids come from a fixed salt: small files, equal bytes.
    with mpl.rc_context({"svg.hashsalt": "spillwatch", "svg.fonttype": "none"}):
        fig.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    source = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Markup('<img class="figure" src="data:image/svg+xml;base64,{}" alt="{}">').format(source, escape(alt))
