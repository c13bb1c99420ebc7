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
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from penstock.accounts import AccountSettings, AccountsService
from penstock.accounts.passwords import Passwords
from penstock.accounts.proofs import Proofs
from penstock.admission.sign_in import SignInGuard
from penstock.app import migrate
from penstock.app.catalogue import Catalogue
from penstock.app.databases import open_database, place_of
from penstock.app.folder import DataFolder, FolderLock
from penstock.app.mail import open_post
from penstock.app.shared import Shared, open_shared
from penstock.billing.payments import Payments
from penstock.billing.plans import RENEW_LOOK_S, PlanCredits
from penstock.billing.providers import open_payments
from penstock.billing.reconcile import DAYS, RECONCILE_EVERY_S, reconcile
from penstock.billing.schedule import DAY_S
from penstock.billing.service import Billing
from penstock.billing.test_checkout import NAME as TEST_CHECKOUT
from penstock.billing.webhooks import Intake
from penstock.jobs import queue
from penstock.jobs.flow import Flow, Studio
from penstock.jobs.maintenance import Chore, Maintenance
from penstock.jobs.positions import POSITION_LOOK_S, PositionTeller
from penstock.jobs.stream import Streams
from penstock.jobs.studio import PictureStudio
from penstock.jobs.worker import Worker
from penstock.kit.children import ChildError, Children
from penstock.kit.clock import Clock, SystemClock
from penstock.kit.database import Database
from penstock.kit.errors import Problem
from penstock.kit.sqlite import Durability
from penstock.ledger import service as ledger
from penstock.media import service as media
from penstock.media.bucket import Bucket, UnusableBucketError, access_keys
from penstock.media.direct import DirectUploads
from penstock.media.service import MediaService
from penstock.media.storage import Storage, StorageError
from penstock.notify.live import Hub
from penstock.notify.mail import LETTERS_LOOK_S, Post
from penstock.product.availability import availability
from penstock.product.loading import LoadedProduct
from penstock.product.schema import Product
from penstock.product.settings import Settings
from penstock.product.versions import remember
from penstock.providers.registry import FACTORIES, PRELOAD, Factory, open_providers
from penstock.providers.seam import Provider
from penstock.providers.surroundings import Surroundings

MEDIA_SWEEP_S, SESSION_SWEEP_S = 60.0, 3_600.0
LEDGER_CHORE, LEDGER_LOOK_S = "ledger", 600.0  # between two looks through the whole book
CLOSING_S = 3.0  # of the grace kept back for giving up what runs and closing everything
STOP_GRACE_S = 0.0  # for jobs still running when a process stops without having drained

log = structlog.get_logger()


@dataclass(frozen=True)
class Parts:
    """What tests and other programs may put in place of the usual parts; None: the usual one."""

    clock: Clock | None = None
    studio: Studio | None = None
    passwords: Passwords | None = None
    factories: Mapping[str, Factory] = field(default_factory=lambda: FACTORIES)
    durability: Durability = "full"
    payments: Payments | None = None


@dataclass
class Services:
    """The running parts of a process.

    Args:
        draining: set once it takes on no more work.
    """

    settings: Settings
    environment: Mapping[str, str]
    folder: DataFolder
    catalogue: Catalogue
    clock: Clock
    database: Database
    storage: Storage
    children: Children
    shared: Shared
    accounts: AccountsService
    media: MediaService
    direct: DirectUploads
    flow: Flow
    streams: Streams
    plan_credits: PlanCredits
    billing: Billing
    intake: Intake
    proofs: Proofs
    post: Post | None
    worker: Worker | None = None
    maintenance: Maintenance | None = None
    draining: bool = False

    @property
    def product(self) -> Product:
        """The product that holds now."""
        return self.catalogue.current()

    async def warm(self) -> None:
        """Start the children's parent now: the first upload would wait for it otherwise."""
        try:
            await self.children.start()
        except ChildError as error:  # the first picture will say so too
            log.error("children.not_started", error=str(error))

    async def drain(self, hurry: asyncio.Event | None = None) -> None:
        """Stop claiming, let running jobs finish within the product's grace, and give back the rest.

        Args:
            hurry: once it is set, what still runs is given back at once.
        """
        self.draining = True
        if self.worker is None:
            return
        grace_s = max(0.0, self.product.workers.grace_s - CLOSING_S)
        finishing = asyncio.create_task(self.worker.stop(grace_s))
        hurried = asyncio.create_task((hurry or asyncio.Event()).wait())
        await asyncio.wait({finishing, hurried}, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not finishing.done():
            finishing.cancel()
            await asyncio.gather(finishing, return_exceptions=True)
            await self.worker.stop(STOP_GRACE_S)
        self.worker = None


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
        services.maintenance = Maintenance(services.flow, _chores(services))
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
    children = Children(loaded.product.workers.children, preload=(*media.PRELOAD, *PRELOAD))
    stack.push_async_callback(children.close)
    providers = _providers(loaded.product, Surroundings(children, clock, environment), parts)
    stack.push_async_callback(_close_all, providers)
    storage = await _storage(settings, folder, environment, clock)
    pictures = MediaService(database, storage, children, folder.scratch, lambda: catalogue.current().uploads)
    plan_credits = PlanCredits(database, catalogue.current)
    guard = SignInGuard(clock, shared.limiter)
    accounts = AccountsService(
        database,
        clock,
        _account_settings(settings, folder, loaded.product),
        guard,
        on_account_created=plan_credits.first_month,
        passwords=parts.passwords,
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
            studio=parts.studio or PictureStudio(pictures),
            providers=providers,
            folder=folder.work,
        ),
        streams=Streams(),
        plan_credits=plan_credits,
        billing=Billing(database, catalogue.current, payments, intake),
        intake=intake,
        proofs=Proofs(database, accounts, guard, post, lambda: catalogue.current().brand.title),
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
        origins=origins,
    )


def _secret(settings: Settings, folder: DataFolder) -> str:
    return settings.secret or folder.secret()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _chores(services: Services) -> tuple[Chore, ...]:
    async def sweep_media() -> int:
        swept = await services.media.sweep()
        return swept.uploads + swept.results + swept.pending + swept.files

    async def look_at_ledger() -> int:
        found = await services.database.read(ledger.violations)
        for violation in found:
            log.error("ledger.violation", violation=violation)
        return len(found)

    async def compare_payments() -> int:
        payments = services.billing.payments
        if payments is None or payments.name == TEST_CHECKOUT:
            return 0
        since = services.clock.now() - DAYS * DAY_S
        report = await reconcile(services.database, services.intake, payments, since)
        return len(report.mended)

    async def send_letters() -> int:
        return 0 if services.post is None else await services.post.send_due()

    async def sweep_letters() -> int:
        return 0 if services.post is None else await services.post.sweep()

    return (
        Chore("letters", LETTERS_LOOK_S, send_letters),
        Chore("old letters", SESSION_SWEEP_S, sweep_letters),
        Chore("files", MEDIA_SWEEP_S, sweep_media),
        Chore("plan credits", RENEW_LOOK_S, services.plan_credits.renew),
        Chore("payments", RENEW_LOOK_S, services.intake.look_again),
        Chore("payments compared", RECONCILE_EVERY_S, compare_payments),
        Chore("test plans", RENEW_LOOK_S, services.billing.renew_test_plans),
        Chore("old webhooks", SESSION_SWEEP_S, services.intake.sweep),
        Chore("old links", SESSION_SWEEP_S, services.proofs.sweep),
        Chore("old sessions", SESSION_SWEEP_S, services.accounts.sweep),
        Chore(LEDGER_CHORE, LEDGER_LOOK_S, look_at_ledger),
        Chore("positions", POSITION_LOOK_S, PositionTeller(services.flow).look, everywhere=True),
    )


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
