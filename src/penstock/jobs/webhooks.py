"""Webhooks of those who do the work: a vendor tells that a job's work has ended, and whoever polls it looks at once.

Nothing that a webhook says is believed: it is a hint, and what came of the work is asked for at the vendor. So a lost,
repeated, late or forged one changes no job and no credits; at the worst it brings a look forward by a few seconds.
Replicate signs its webhooks and RunPod does not; what is signed is checked all the same.

The address names the job, as the vendor's own id of the work is not known yet when the address is given away.
"""

from collections.abc import Mapping
from urllib.parse import urlencode

from penstock.jobs.flow import Claimed, Flow
from penstock.kit.errors import Problem, not_found
from penstock.kit.signed_webhooks import WebhookRefusedError, signed_id
from penstock.providers.seam import ProviderError, WebhookSigner

PATH = "/api/v1/webhooks"
MAX_JOB_CHARACTERS = 64


def base_for(public_url: str | None) -> str | None:
    """Return where vendors may tell news of work, None where none could: they call addresses with https only."""
    return None if public_url is None or not public_url.startswith("https://") else public_url + PATH


def url_for(flow: Flow, job: Claimed, provider: str) -> str | None:
    """Return where the vendor of a provider may tell news of a job's work."""
    if flow.webhooks is None:
        return None
    adapter = job.product.providers[provider].adapter
    return f"{flow.webhooks}/{adapter}?{urlencode({'job': job.id})}"


def hear(flow: Flow, job_id: str) -> None:
    """Let whoever looks after a job's work look at once; nobody does for a job that is over, or never was."""
    if job_id.isascii() and job_id.isprintable():  # it travels as a line between processes
        flow.news.tell(job_id)


async def hear_signed(flow: Flow, adapter: str, job_id: str, headers: Mapping[str, str], body: bytes) -> None:
    """As `hear`, for a webhook that one of the providers with this adapter must have signed.

    Errors: `not_found` where no such provider is on; `forbidden`; `unavailable`: the secret can't be had now.
    """
    product = flow.products.current()
    named = [name for name, settings in product.providers.items() if settings.adapter == adapter]
    providers: list[object] = [flow.providers.get(name) for name in named]
    signers = [each for each in providers if isinstance(each, WebhookSigner)]
    if not signers:
        raise not_found("provider")
    refusals = []
    for signer in signers:
        try:
            signed_id(headers, body, await signer.webhook_secret(), flow.clock.now(), vendor=adapter.title())
        except WebhookRefusedError as error:
            refusals.append(error)
        except ProviderError as error:
            raise Problem("unavailable", "This webhook can't be checked now; it may come again.") from error
        else:
            hear(flow, job_id)
            return
    raise Problem("forbidden", f"This webhook was refused: {refusals[-1]}.") from refusals[-1]
