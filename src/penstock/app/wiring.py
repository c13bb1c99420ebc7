"""Everything that a process needs, from settings, a product file and the environment: built, started, stopped.

    lock -> migrate -> shared, database -> children, storage, providers -> flow, accounts, media -> worker, maintenance

and back in the other order. The lock says whether others work on the folder: who is alone takes over at once what a
crash left running, instead of waiting for its leases to run out. On PostgreSQL others may be at work on other machines,
so there the leases decide.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from penstock.accounts import AccountSettings, AccountsService
from penstock.accounts.proofs import Proofs
from penstock.admission.sign_in import SignInGuard
from penstock.app import migrate
from penstock.app.catalogue import Catalogue
from penstock.app.chores import chores
from penstock.app.databases import open_database, place_of
from penstock.app.folder import DataFolder, FolderLock
from penstock.app.mail import open_post
from penstock.app.services import STOP_GRACE_S, Parts, Services
from penstock.app.shared import open_shared
from penstock.app.sign_in import SignInParts, issued_sessions, open_openid
from penstock.billing.plans import PlanCredits
from penstock.billing.providers import open_payments
from penstock.billing.service import Billing
from penstock.billing.webhooks import Intake
from penstock.jobs import queue
from penstock.jobs.flow import Flow
from penstock.jobs.maintenance import Maintenance
from penstock.jobs.reading import DiagramReader
from penstock.jobs.stream import Streams
from penstock.jobs.studio import PictureStudio
from penstock.jobs.webhooks import base_for
from penstock.jobs.worker import Worker
from penstock.kit.children import Children
from penstock.kit.clock import Clock, SystemClock
from penstock.kit.errors import Problem
from penstock.kit.json_client import JsonClient
from penstock.media import service as media
from penstock.media.bucket import Bucket, UnusableBucketError, access_keys
from penstock.media.direct import DirectUploads
from penstock.media.service import MediaService
from penstock.media.storage import Storage, StorageError
from penstock.notify.live import Hub
from penstock.product.availability import availability
from penstock.product.loading import LoadedProduct
from penstock.product.schema import Product
from penstock.product.settings import Settings
from penstock.product.versions import remember
from penstock.providers.registry import open_providers, preload_for
from penstock.providers.seam import Provider
from penstock.providers.surroundings import Surroundings

log = structlog.get_logger()


@asynccontextmanager
async def open_services(
    settings: Settings,
    loaded: LoadedProduct,
    environment: Mapping[str, str],
    *,
    works: bool = True,
    parts: Parts | None = None,
) -> AsyncIterator[Services]:
    """Build and start the parts of a process, and stop them when the block ends.

    Args:
        environment: where providers find their keys.
        works: run jobs here, and the maintenance that one process does for all; False only serves.
        parts: replacements.
    Errors: Problem `unavailable` for a data folder, a database or a bucket that can't be used.
    """
    async with AsyncExitStack() as stack:
        folder = DataFolder(settings.data_dir)
        folder.make()
        lock = FolderLock(folder)
        stack.callback(lock.release)
        alone = await asyncio.to_thread(lock.take)
        await _prepare_database(settings, folder, alone=alone)
        services = await _built(stack, settings, folder, loaded, environment, parts or Parts())
        services.maintenance = Maintenance(services.flow, chores(services))
        await services.database.write(remember, loaded)
        if alone:
            await asyncio.to_thread(_empty, folder.work)
            if settings.database_url is None:
                await _take_over(services)
        lock.share()
        _start_maintenance(stack, services, shared=works)
        if works:
            await _start_work(stack, services)
        yield services


async def _prepare_database(settings: Settings, folder: DataFolder, *, alone: bool) -> None:
    """See to it that the database can be used. Errors: Problem `unavailable`."""
    if settings.database_url is not None and settings.secret is None:
        raise Problem(
            "unavailable",
            "Every process on one PostgreSQL database must sign with the same secret: set PENSTOCK_SECRET for all of "
            "them. openssl rand -hex 32 makes a good one.",
        )
    await asyncio.to_thread(migrate.bring_up, place_of(settings, folder), alone=alone)


async def _built(
    stack: AsyncExitStack,
    settings: Settings,
    folder: DataFolder,
    loaded: LoadedProduct,
    environment: Mapping[str, str],
    parts: Parts,
) -> Services:
    """Build everything; nothing of it works yet."""
    clock = parts.clock or SystemClock()
    catalogue = Catalogue(loaded)
    shared = await open_shared(stack, settings, loaded.product.name, clock)
    database = await open_database(settings, folder, clock=clock, durability=parts.durability)
    stack.push_async_callback(database.close)
    children = Children(loaded.product.workers.children, preload=(*media.PRELOAD, *preload_for(loaded.product)))
    stack.push_async_callback(children.close)
    providers = _providers(loaded.product, Surroundings(children, clock, environment), parts)
    stack.push_async_callback(_close_all, providers)
    storage = await _storage(settings, folder, environment, clock)
    pictures = MediaService(database, storage, children, folder.scratch, lambda: catalogue.current().uploads)
    plan_credits = PlanCredits(database, catalogue.current)
    web = JsonClient()
    stack.push_async_callback(web.close)
    guard = SignInGuard(clock, shared.limiter)
    accounts = AccountsService(
        database,
        clock,
        _account_settings(settings, folder, loaded.product),
        guard,
        on_account_created=plan_credits.first_month,
        on_account_again=plan_credits.later_months,
        passwords=parts.passwords,
        issued=issued_sessions(loaded.product, clock, web),
    )
    intake = Intake(database, clock, catalogue.current, accounts.set_plan)
    payments = parts.payments or open_payments(catalogue.current, environment, clock, test=settings.development)
    if payments is not None:
        stack.push_async_callback(payments.close)
    post = open_post(settings, database, loaded.product.brand.title)
    if post is not None:
        stack.push_async_callback(post.close)
    return Services(
        settings=settings,
        environment=environment,
        folder=folder,
        catalogue=catalogue,
        clock=clock,
        database=database,
        storage=storage,
        children=children,
        shared=shared,
        accounts=accounts,
        media=pictures,
        direct=DirectUploads(pictures, _secret(settings, folder), settings.public_url),
        flow=Flow(
            database=database,
            clock=clock,
            hub=Hub(shared.hints),
            products=catalogue,
            studio=parts.studio or PictureStudio(pictures, DiagramReader(children)),
            providers=providers,
            folder=folder.work,
            webhooks=base_for(settings.public_url),
        ),
        streams=Streams(),
        plan_credits=plan_credits,
        billing=Billing(database, catalogue.current, payments, intake),
        intake=intake,
        proofs=Proofs(database, accounts, guard, post, lambda: catalogue.current().brand.title),
        openid=open_openid(SignInParts(database, clock, guard, web), accounts, loaded.product, environment),
        post=post,
    )


async def _storage(settings: Settings, folder: DataFolder, environment: Mapping[str, str], clock: Clock) -> Storage:
    """Return where files lie, once it is known to work. Errors: Problem `unavailable`, which says what to do."""
    if settings.storage is None:
        return Storage.in_folder(folder.files)
    try:
        storage = Storage.in_bucket(Bucket(settings.storage, access_keys(environment), clock))
        await storage.check()
    except (UnusableBucketError, StorageError) as error:
        raise Problem("unavailable", str(error)) from error
    return storage


def _providers(product: Product, around: Surroundings, parts: Parts) -> dict[str, Provider]:
    usable = availability(product, around.environment).usable
    return open_providers(product, usable, around, parts.factories)


def _account_settings(settings: Settings, folder: DataFolder, product: Product) -> AccountSettings:
    origins = frozenset() if settings.public_url is None else frozenset({_origin(settings.public_url)})
    return AccountSettings(
        secret=_secret(settings, folder),
        issuer=f"penstock/{product.name}",
        default_plan=product.default_plan,
        anonymous=product.sign_in.anonymous,
        passwords=product.sign_in.password,
        visitor_plan=product.visitor_plan,
        origins=origins,
    )


def _secret(settings: Settings, folder: DataFolder) -> str:
    return settings.secret or folder.secret()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


async def _take_over(services: Services) -> None:
    """Give the jobs of a process that is surely gone back to the queue, without waiting for their leases to end."""
    ended = await services.database.write(queue.end_leases)
    if ended:
        mended = await _maintenance(services).mend_lost()
        log.info("jobs.taken_over", count=mended)


def _start_maintenance(stack: AsyncExitStack, services: Services, *, shared: bool) -> None:
    maintenance = _maintenance(services)
    maintenance.start(shared=shared)
    stack.push_async_callback(maintenance.stop)


async def _start_work(stack: AsyncExitStack, services: Services) -> None:
    bounds = services.product.workers
    services.worker = Worker(services.flow, bounds.slots, bounds.slots_min)
    stack.push_async_callback(_stop_worker, services)
    await services.worker.start()


def _maintenance(services: Services) -> Maintenance:
    assert services.maintenance is not None
    return services.maintenance


async def _stop_worker(services: Services) -> None:
    """Give back what still runs, unless the process has drained before."""
    if services.worker is not None:
        await services.worker.stop(STOP_GRACE_S)
        services.worker = None


async def _close_all(providers: Mapping[str, Provider]) -> None:
    for provider in providers.values():
        await provider.close()


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
