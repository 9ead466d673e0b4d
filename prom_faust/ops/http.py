"""The pages on Faust's web server: one view per path, each a few lines over :mod:`prom_faust.ops.pages`.

A view never lets a traceback out, and never waits for long: what Kafka does not say in time is told as it was
last, with its age.
"""

import base64
import hashlib
import logging
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, ClassVar

from faust import web
from prometheus_client.exposition import choose_encoder

from prom_faust.ops.bearer import CHALLENGE, permits
from prom_faust.ops.pages import ENDPOINTS, NothingKnownError, Pages
from prom_faust.ops.tasks import in_loop

__all__ = ["Site", "add_views", "content_policy"]

logger = logging.getLogger(__name__)

LIVE_SECONDS = 1.0
ANSWER_SECONDS = 2.8
"""Within which every request has an answer."""
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def content_policy(html: str) -> str:
    """A page's ``Content-Security-Policy``: its own script and styles, by hash, and its own server."""
    script, style = (_hashes(tag, html) for tag in ("script", "style"))
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hashes(tag: str, html: str) -> str:
    texts = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
    return " ".join(f"'sha256-{digest}'" for digest in digests)


def _page() -> str:
    return (files("prom_faust.ops") / "page.html").read_text("utf-8")


@dataclass(slots=True)
class Site:
    """The pages, and who may see them.

    Attributes:
        pages: the answers.
        token: what a caller has to show, or None.
        html: the page. It holds no data, so that anybody may load it, and it can ask for the token.
    """

    pages: Pages
    token: str | None
    html: str = field(default_factory=_page)


class OpsView(web.View):
    """What all views share: the token, the headers, and what becomes of an error."""

    site: ClassVar[Site]
    path: ClassVar[str]

    async def dispatch(self, request: Any) -> Any:
        """Answer, or say why not."""
        if self.guards(request) and not self.permitted(request):
            response = self.refuse(
                401,
                "a token is needed, and this request has none that is right",
                "send the header Authorization: Bearer TOKEN, with the worker's setting ops_token",
            )
            response.headers["WWW-Authenticate"] = CHALLENGE
        else:
            response = await self._answer(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    async def _answer(self, request: Any) -> Any:
        try:
            return await super().dispatch(request)
        except NothingKnownError as error:
            return self.refuse(
                503, str(error), "see that Kafka runs and that the worker's log is quiet; try again"
            )
        except TimeoutError:
            return self.refuse(
                503, "the worker's event loop is busy", "try again; if it stays so, restart it"
            )
        except Exception:
            logger.exception("%s cannot be answered", request.path)
            return self.refuse(500, "this page has a fault", "see the worker's log, and report it")

    def guards(self, _request: Any) -> bool:
        """Whether this request has to show the token."""
        return True

    def permitted(self, request: Any) -> bool:
        """Whether the caller has shown the token, if there is one."""
        return permits(self.site.token, request.headers.get("Authorization"))

    def refuse(self, status: int, error: str, do: str) -> Any:
        """An error, and what to do about it."""
        return self.json({"error": error, "do": do}, status=status)

    async def ask(
        self, answer: Callable[[Pages], Coroutine[Any, Any, Any]], *, timeout: float = ANSWER_SECONDS
    ) -> Any:
        """Put an answer together in the app's own loop: the web server may have a thread of its own."""
        loop = self.site.pages.status.loop_of_app
        if loop is None:
            raise NothingKnownError("this worker is starting")
        return await in_loop(loop, answer(self.site.pages), timeout=timeout)

    def show(self) -> Any:
        """The HTML page."""
        html = self.site.html
        headers = {
            "Content-Security-Policy": content_policy(html),
            "X-Frame-Options": "DENY",
            "Vary": "Accept",
        }
        return self.html(html, headers=headers)


class Index(OpsView):
    """The list of paths; for a browser the page, unless it says `?format=json`."""

    path = ""

    def guards(self, request: Any) -> bool:
        """The page is for anybody; the list is not."""
        return not self._wants_page(request)

    @staticmethod
    def _wants_page(request: Any) -> bool:
        return "format" not in request.query and "text/html" in request.headers.get("Accept", "")

    async def get(self, request: web.Request, **_: Any) -> Any:
        """Decide by what the caller accepts."""
        if self._wants_page(request):
            return self.show()
        response = self.json(await self.ask(Pages.index))
        response.headers["Vary"] = "Accept"
        return response


class Page(OpsView):
    """The HTML page. It asks for the token by itself."""

    path = "/page"

    def guards(self, _request: Any) -> bool:
        """It holds no data."""
        return False

    async def get(self, _request: web.Request, **_: Any) -> Any:
        """The page."""
        return self.show()


class Assignments(OpsView):
    """The groups."""

    path = "/assignments"

    async def get(self, _request: web.Request, **_: Any) -> Any:
        """See :meth:`Pages.assignments`."""
        return self.json(await self.ask(Pages.assignments))


class Members(OpsView):
    """The workers."""

    path = "/members"

    async def get(self, _request: web.Request, **_: Any) -> Any:
        """See :meth:`Pages.members`."""
        return self.json(await self.ask(Pages.members))


class Sinks(OpsView):
    """The projections, batch agents and partitioned consumers."""

    path = "/sinks"

    async def get(self, _request: web.Request, **_: Any) -> Any:
        """See :meth:`Pages.sinks`."""
        return self.json(await self.ask(Pages.sinks))


class Coordinators(OpsView):
    """The coordinators of this process."""

    path = "/coordinators"

    async def get(self, _request: web.Request, **_: Any) -> Any:
        """See :meth:`Pages.snapshots`."""
        return self.json(await self.ask(Pages.snapshots))


class Live(OpsView):
    """Whether the event loop answers. Probes show no token."""

    path = "/live"

    def guards(self, _request: Any) -> bool:
        """Probes show no token."""
        return False

    async def get(self, _request: web.Request, **_: Any) -> Any:
        """200 at once, or nothing: a loop that stands still answers no request."""
        return self.json({"live": await self.ask(Pages.live, timeout=LIVE_SECONDS)})


class Ready(OpsView):
    """Whether the worker is ready. Probes show no token, and so they are not told why it is not."""

    path = "/ready"

    def guards(self, _request: Any) -> bool:
        """Probes show no token."""
        return False

    async def get(self, request: web.Request, **_: Any) -> Any:
        """200 or 503; the reasons are for those who may see everything."""
        ready, reasons = await self.ask(Pages.ready)
        told = {"reasons": reasons} if self.permitted(request) else {}
        return self.json({"ready": ready, **told}, status=200 if ready else 503)


class Metrics(OpsView):
    """For Prometheus."""

    path = "/metrics"

    async def get(self, request: web.Request, **_: Any) -> Any:
        """In the text format that the scraper asks for."""
        await self.ask(Pages.measure)
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        text = encode(self.site.pages.metrics.registry)
        return self.bytes(text, headers={"Content-Type": content_type})


class Elsewhere(OpsView):
    """Any other path below: what there is instead."""

    path = "/{rest:.*}"

    async def get(self, request: web.Request, **_: Any) -> Any:
        """404."""
        paths = ", ".join(f"{self.site.pages.path}{path}" for path in ENDPOINTS)
        return self.refuse(404, f"there is nothing at {request.url.path}", f"see one of {paths}")


VIEWS: tuple[type[OpsView], ...] = (
    Index,
    Page,
    Assignments,
    Members,
    Sinks,
    Coordinators,
    Live,
    Ready,
    Metrics,
    Elsewhere,
)


def add_views(server: web.Web, site: Site) -> None:
    """Add the pages to a web server that is about to start."""
    for view in VIEWS:
        # A class of its own for each app: Faust keeps name and path of a view on its class.
        about = {
            "site": site,
            "view_name": f"prom_faust.ops:{view.__name__.lower()}",
            "view_path": f"{site.pages.path}{view.path}",
        }
        server.add_view(type(view.__name__, (view,), about))
