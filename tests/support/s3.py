"""A real S3 server for the tests: Ceph's object gateway over a storage cluster of one, in memory, on loopback ports.

It checks signatures, upload policies, CORS and ranges as a production server does, because it is one. All of it
starts in some four seconds and takes 150 MB. Every test gets a bucket of its own.
"""

import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import botocore.session
import httpx2
import pytest
from botocore.config import Config

from penstock.kit.clock import Clock, SystemClock
from penstock.media.bucket import Bucket
from penstock.media.signing import AccessKeys
from penstock.media.storage import Storage
from penstock.product.storage_url import BucketAddress, read_storage_url
from tests.support.ports import free_port

ACCESS_KEY, SECRET_KEY = "PENSTOCKTESTKEY", "penstock/test+secret-of-some-length"
KEYS = AccessKeys(ACCESS_KEY, SECRET_KEY)
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
REGION = "us-east-1"
PAGE = 20
"""Files that the server lists at one time: few, so that paging is seen."""
START_LIMIT_S, COMMAND_LIMIT_S = 180.0, 120.0  # on a machine that many share
PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")

_CONFIGURATION: Final = """\
[global]
fsid = {cluster}
mon host = [v1:127.0.0.1:{mon_port}]
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr2 = false
auth cluster required = none
auth service required = none
auth client required = none
run dir = {folder}
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
pid file = {folder}/$name.pid
crash dir = {folder}
mon data = {folder}/mon
osd data = {folder}/osd
keyring = {folder}/keyring
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
mon data avail warn = 1
paxos propose interval = 0.02
paxos min wait = 0.01
osd objectstore = memstore
memstore device bytes = 1073741824
osd class update on start = false
osd crush update on start = false
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw run sync thread = false
rgw enable gc threads = false
rgw enable lc threads = false
rgw thread pool size = 64
rgw rados pool pg num min = 1
rgw max listing results = {page}
"""
_buckets = itertools.count(1)


class Server:
    """An S3 server on a free loopback port.

    Args:
        folder: gets its files; must exist, its path short (sockets lie in it).
    """

    def __init__(self, folder: Path) -> None:
        _need_programs()
        self.folder = folder
        self.port = free_port()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._cluster = str(uuid.uuid4())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers. Errors: AssertionError, with what it said."""
        ports = {"mon_port": free_port(), "port": self.port, "page": PAGE}
        text = _CONFIGURATION.format(folder=self.folder, cluster=self._cluster, **ports)
        (self.folder / "ceph.conf").write_text(text)
        for name in ("mon", "osd"):
            (self.folder / name).mkdir()
        self._start_cluster(ports["mon_port"])
        self._spawn("radosgw", "-n", "client.rgw", "-f")
        self._wait()
        keys = ("--access-key", ACCESS_KEY, "--secret", SECRET_KEY)
        self._run("radosgw-admin", "user", "create", "--uid=penstock", "--display-name=Penstock", *keys)

    def stop(self) -> None:
        """End it, and everything that was in it."""
        processes, self._processes = self._processes, []
        for process in reversed(processes):
            process.kill()
            process.wait()

    def client(self, url: str | None = None) -> Any:
        """Return botocore's client: another program's idea of the protocol. `url`: of something in front of it."""
        return botocore.session.get_session().create_client(
            "s3",
            endpoint_url=url or self.url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(s3={"addressing_style": "path"}, signature_version="s3v4", retries={"max_attempts": 0}),
        )

    def add_user(self, name: str, keys: AccessKeys, bucket: str, statements: list[dict[str, Any]]) -> None:
        """Add somebody who may do with a bucket what these statements of a policy say, and nothing else."""
        pair = ("--access-key", keys.access_key, "--secret", keys.secret_key)
        self._run("radosgw-admin", "user", "create", f"--uid={name}", f"--display-name={name}", *pair)
        principal = {"Principal": {"AWS": [f"arn:aws:iam:::user/{name}"]}}
        policy = {"Version": "2012-10-17", "Statement": [statement | principal for statement in statements]}
        self.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))

    def _start_cluster(self, mon_port: int) -> None:
        monitors = str(self.folder / "monmap")
        place = f"[v1:127.0.0.1:{mon_port}]"
        self._run("monmaptool", "--create", "--fsid", self._cluster, "--addv", "a", place, monitors, configured=False)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monitors)
        self._spawn("ceph-mon", "-i", "a", "-f")
        disk = str(uuid.uuid4())
        self._ask("osd", "new", disk)
        self._ask("osd", "crush", "add", "osd.0", "1", "root=default", "host=here")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)
        self._spawn("ceph-osd", "-i", "0", "-f")

    def _ask(self, *arguments: str) -> None:
        """Give the cluster a command that may be given twice, until it takes it: at first it may refuse."""
        limit = time.monotonic() + START_LIMIT_S
        while True:
            try:
                return self._run("ceph", *arguments)
            except AssertionError:
                if time.monotonic() > limit or any(process.poll() is not None for process in self._processes):
                    raise

    def _run(self, program: str, *arguments: str, configured: bool = True) -> None:
        done = subprocess.run(
            [program, *(self._configuration if configured else ()), *arguments],
            capture_output=True,
            check=False,
            text=True,
            timeout=COMMAND_LIMIT_S,
        )
        assert done.returncode == 0, f"{program} {' '.join(arguments)} failed: {done.stderr}{done.stdout}"

    def _spawn(self, program: str, *arguments: str) -> None:
        with (self.folder / "output").open("ab") as output:
            command = [program, *self._configuration, *arguments]
            self._processes.append(subprocess.Popen(command, stdout=output, stderr=output))

    @property
    def _configuration(self) -> tuple[str, str]:
        return "-c", str(self.folder / "ceph.conf")

    def _wait(self) -> None:
        limit = time.monotonic() + START_LIMIT_S
        while not _answers(self.url):
            said = (self.folder / "output").read_text(errors="replace")
            assert all(process.poll() is None for process in self._processes), f"the S3 server did not start:\n{said}"
            assert time.monotonic() < limit, f"the S3 server does not answer:\n{said}"


@dataclass
class TestBucket:
    __test__ = False

    """A bucket of a test; `endpoint` is the server's or that of something in front of it."""

    server: Server
    name: str
    endpoint: str
    prefix: str = "of/tests"
    client: Any = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.server.client()

    @property
    def url(self) -> str:
        """What `PENSTOCK_STORAGE_URL` says."""
        return f"s3://{self.name}/{self.prefix}?endpoint={self.endpoint}&region={REGION}"

    @property
    def address(self) -> BucketAddress:
        return read_storage_url(self.url)

    def bucket(self, keys: AccessKeys = KEYS, clock: Clock | None = None) -> Bucket:
        return Bucket(self.address, keys, clock or SystemClock())

    def storage(self) -> Storage:
        return Storage.in_bucket(self.bucket())

    def stored(self) -> set[str]:
        """Every key in the bucket, by another client, without the prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        found = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        assert all(key.startswith(f"{self.prefix}/") for key in found), "everything lies under the prefix"
        return {key.removeprefix(f"{self.prefix}/") for key in found}

    def unfinished(self) -> list[str]:
        """Keys of uploads in parts that were begun and not ended."""
        return [each["Key"] for each in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", ())]


@contextmanager
def server() -> Iterator[Server]:
    """Yield a running server, and take it away."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-s3-"))
    started = Server(folder)
    try:
        started.start()
        yield started
    finally:
        started.stop()
        shutil.rmtree(folder, ignore_errors=True)


def new_bucket(on: Server, endpoint: str | None = None) -> TestBucket:
    """Make an empty bucket. It goes with the server."""
    made = TestBucket(on, f"test-{next(_buckets)}", endpoint or on.url)
    made.client.create_bucket(Bucket=made.name)
    return made


def _need_programs() -> None:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        advice = f"there is no S3 server here ({missing[0]} is missing): .ci/install radosgw ceph-mon ceph-osd"
        if os.environ.get("CI"):
            pytest.fail(advice)
        pytest.skip(advice)


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=2).status_code == 200
    except httpx2.HTTPError:
        time.sleep(0.05)
        return False
