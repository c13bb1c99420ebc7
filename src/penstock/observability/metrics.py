"""The names of all metrics, in one place, and the registry that `/metrics` writes out.

Names follow Prometheus (`penstock_` and base units); the meaning of the request histogram is that of OpenTelemetry's
`http.server.request.duration`. A label takes few values: route templates, never paths; classes, never ids.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
REQUEST_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REGISTRY = CollectorRegistry()

REQUESTS = Histogram(
    "penstock_http_request_duration_seconds",
    "Time from a request's arrival to the end of its answer; streams are left out",
    ("method", "route", "status"),
    buckets=REQUEST_BUCKETS_S,
    registry=REGISTRY,
)
REQUESTS_IN_FLIGHT = Gauge("penstock_http_requests_in_flight", "Requests being answered now", registry=REGISTRY)
STREAMS = Gauge("penstock_live_streams", "Live connections open now", ("kind",), registry=REGISTRY)
PROBLEMS = Counter("penstock_problems_total", "Requests answered with a problem", ("code",), registry=REGISTRY)
CRASHES = Counter("penstock_unexpected_errors_total", "Requests that ended in a bug of ours", registry=REGISTRY)

JOBS_QUEUED = Gauge("penstock_jobs_queued", "Jobs that wait for their turn", registry=REGISTRY)
JOBS_RUNNING = Gauge("penstock_jobs_running", "Jobs that run now, in any process", registry=REGISTRY)
OLDEST_WAIT = Gauge("penstock_jobs_oldest_wait_seconds", "How long the oldest queued job has waited", registry=REGISTRY)
WORKER_RUNNING = Gauge("penstock_worker_jobs_running", "Jobs that run in this process", registry=REGISTRY)
WORKER_SLOTS = Gauge("penstock_worker_slots", "Jobs that may run at one time in this process", registry=REGISTRY)
WORKERS = Gauge("penstock_workers", "Workers that have been seen within a lease, in any process", registry=REGISTRY)
WORKERS_SLOTS = Gauge("penstock_workers_slots", "Jobs that they would run at one time now", registry=REGISTRY)
PROVIDER_CAPACITY = Gauge(
    "penstock_provider_capacity_ratio",
    "How much of a provider's limit is used",
    ("provider", "limit"),
    registry=REGISTRY,
)
LEDGER_VIOLATIONS = Gauge(
    "penstock_ledger_violations", "Credits that are not explained when last looked at: always 0", registry=REGISTRY
)
LOAD = Gauge("penstock_load_ratio", "How much of the machine is used, 0 to 1", ("resource",), registry=REGISTRY)


def written() -> bytes:
    """Return all metrics as Prometheus reads them."""
    return generate_latest(REGISTRY)
