"""The process around the application: what it asks of the system."""

import resource

import pytest

from penstock.app import server


def test_the_limit_of_open_files_is_raised_as_far_as_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    for limits in ((1_024, 4_096), (1_024, resource.RLIM_INFINITY), (4_096, 4_096), (resource.RLIM_INFINITY,) * 2):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limits=limits: limits)
        server.allow_many_connections()
    assert asked == [(4_096, 4_096), (server.MAX_OPEN_FILES, resource.RLIM_INFINITY)]
