"""The running parts of a process, and what may stand in place of the usual ones; `wiring` builds them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from penstock.accounts import AccountsService
from penstock.accounts.openid import OpenId
from penstock.accounts.passwords import Passwords
from penstock.accounts.proofs import Proofs
from penstock.app.catalogue import Catalogue
from penstock.app.folder import DataFolder
from penstock.app.shared import Shared
from penstock.billing.payments import Payments
from penstock.billing.plans import PlanCredits
from penstock.billing.service import Billing
from penstock.billing.webhooks import Intake
from penstock.jobs.flow import Flow, Studio
from penstock.jobs.maintenance import Maintenance
from penstock.jobs.stream import Streams
from penstock.jobs.worker import Worker
from penstock.kit.children import ChildError, Children
from penstock.kit.clock import Clock
from penstock.kit.database import Database
from penstock.kit.sqlite import Durability
from penstock.media.direct import DirectUploads
from penstock.media.service import MediaService
from penstock.media.storage import Storage
from penstock.notify.mail import Post
from penstock.product.schema import Product
from penstock.product.settings import Settings
from penstock.providers.registry import FACTORIES, Factory

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
    openid: OpenId
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
