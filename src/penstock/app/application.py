"""The HTTP application: every router, every middleware, the one error edge. A function of running services.

Edge -> CatchAll -> BodyLimit -> GZip -> SetCookies -> Pages -> routers under /api/v1
"""

from importlib.metadata import version

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware

from penstock.accounts import endpoints as accounts
from penstock.accounts import openid_endpoints as openid
from penstock.accounts import proof_endpoints as proofs
from penstock.accounts.cookies import SetCookies
from penstock.app import admin_accounts, admin_credits, endpoints, job_operators, operators, problems
from penstock.app.callers import Callers
from penstock.app.edge import BodyLimit, Edge, content_security_policy
from penstock.app.health import Health
from penstock.app.mail import MailBase, Welcome
from penstock.app.openapi import describe
from penstock.app.services import Services
from penstock.billing import donation_endpoints
from penstock.billing import endpoints as billing
from penstock.billing import money_endpoints as money
from penstock.jobs import endpoints as jobs
from penstock.jobs import live
from penstock.jobs import webhook_endpoints as vendor_webhooks
from penstock.ledger import endpoints as ledger
from penstock.media import endpoints as media
from penstock.notify import endpoints as notify
from penstock.web.pages import Pages, Site

PREFIX = "/api/v1"
GZIP_LEVEL, GZIP_FROM_BYTES = 4, 1_024
ROUTERS = (
    accounts.router,
    proofs.router,
    openid.router,
    media.router,
    jobs.router,
    live.router,
    vendor_webhooks.router,
    ledger.router,
    billing.router,
    money.router,
    donation_endpoints.router,
    operators.router,
    job_operators.router,
    admin_accounts.router,
    admin_credits.router,
    notify.router,
)


def create_app(services: Services) -> FastAPI:
    """Return the application of running services."""
    app = bare_app()
    state = app.state
    callers = Callers(services.accounts, services.shared.limiter)
    state.services, state.accounts, state.media = services, services.accounts, services.media
    state.direct = services.direct
    state.flow, state.streams, state.database = services.flow, services.streams, services.database
    state.identify, state.welcome = callers.identify, callers.welcome
    state.product = services.catalogue.current
    state.openid = services.openid
    state.proofs, state.post, state.mail_base = services.proofs, services.post, MailBase(services.settings)
    state.on_registered = Welcome(services.proofs, state.mail_base)
    state.billing, state.public_url = services.billing, services.settings.public_url
    state.health = Health(services)
    problems.install(app, services.catalogue.current, methods_at)
    app.user_middleware[:] = _middleware(services)
    return app


def bare_app() -> FastAPI:
    """Return the application without services: its routes and their description."""
    app = FastAPI(
        title="Penstock",
        version=version("penstock"),
        docs_url=None,  # its page loads scripts from elsewhere, which the content security policy forbids
        redoc_url=None,
        openapi_url="/openapi.json",
        generate_unique_id_function=_operation_id,
    )
    app.include_router(endpoints.router)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    describe(app, (endpoints.router, *ROUTERS))
    return app


def methods_at(path: str) -> list[str]:
    """Return the methods that a path of the interface takes."""
    inner = path.removeprefix(PREFIX)
    own = [(route, path) for route in endpoints.router.routes]
    routes = [*own, *((route, inner) for router in ROUTERS for route in router.routes)]
    found = {
        method
        for route, looked_up in routes
        if isinstance(route, APIRoute) and route.path_regex.match(looked_up)
        for method in route.methods or ()
    }
    return sorted(found)


def _middleware(services: Services) -> list[Middleware]:
    """Return the middleware, outermost first."""
    product = services.catalogue.current
    bucket = services.storage.bucket
    policy = content_security_policy("" if bucket is None else bucket.browser_sources)
    excluded = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/pdf")
    return [
        Middleware(Edge, policy=policy),
        Middleware(problems.CatchAll, product=product),
        Middleware(BodyLimit),
        Middleware(
            GZipMiddleware,
            minimum_size=GZIP_FROM_BYTES,
            compresslevel=GZIP_LEVEL,
            exclude_content_types=excluded,
        ),
        Middleware(SetCookies),
        Middleware(Pages, site=Site(product)),
    ]


def _operation_id(route: APIRoute) -> str:
    """Return the name of the endpoint's function: stable, and a good method name in generated clients."""
    return route.name
