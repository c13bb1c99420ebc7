"""Pictures from https addresses that a caller names.

RunPod's own guarded client does the work: the host must resolve to public addresses only, the connection goes to the
very address that was checked, every redirect is checked again, and a proxy in between is refused.
"""

from urllib.parse import urlsplit

import requests
from runpod.serverless.utils.rp_ssrf import SSRFError, iter_content_capped, safe_get

from penstock_worker.inputs import BadInputError

TIMEOUT_S = 30  # of silence
CHUNK_BYTES = 65_536


def download(url: str, max_bytes: int) -> bytes:
    """Return what lies at an address. Errors: BadInputError."""
    host = urlsplit(url).hostname
    try:
        with safe_get(url, timeout=TIMEOUT_S, max_bytes=max_bytes) as response:
            if response.status_code != 200:
                raise BadInputError(f"the picture at {host} can't be had: HTTP {response.status_code}")
            if not str(response.url).startswith("https://"):
                raise BadInputError(f"the picture at {host} is not given by https")
            return b"".join(iter_content_capped(response, CHUNK_BYTES, max_bytes))
    except SSRFError as error:
        raise BadInputError(f"the picture at {host} is not fetched: {error}") from None
    except (requests.RequestException, ValueError) as error:
        raise BadInputError(f"the picture at {host} can't be had: {type(error).__name__}") from None
