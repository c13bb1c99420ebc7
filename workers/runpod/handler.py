"""The container's entry: loads the model that the environment names, then takes RunPod's jobs until it is stopped."""

import os

import runpod

from penstock_worker import diffusion
from penstock_worker.bucket import upload
from penstock_worker.downloads import download
from penstock_worker.settings import read_settings
from penstock_worker.work import Worker


def main() -> None:
    """Start. Errors: BadSettingsError, which says what to change."""
    settings = read_settings(os.environ)
    worker = Worker(settings, diffusion.load(settings), runpod.serverless.progress_update, download, upload)
    runpod.serverless.start({"handler": worker.handle})


if __name__ == "__main__":  # RunPod's heartbeat is a process of its own, which imports this file again
    main()
