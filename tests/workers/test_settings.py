"""What the maker says to the container, and where it finds its weights."""

import os
from pathlib import Path

import pytest

from penstock_worker.kinds import KINDS
from penstock_worker.settings import USUAL_MODELS, BadSettingsError, Bucket, Settings, read_settings
from penstock_worker.weights import find_weights

BUCKET = {
    "BUCKET_ENDPOINT_URL": "https://s3.example",
    "BUCKET_ACCESS_KEY_ID": "key",
    "BUCKET_SECRET_ACCESS_KEY": "secret",
    "BUCKET_NAME": "results",
}


def read(kind: str = "qwen-image-edit", **more: str) -> Settings:
    return read_settings({"MODEL_KIND": kind, **more})


def test_a_kind_is_enough() -> None:
    assert USUAL_MODELS.keys() == KINDS.keys()
    settings = read()
    assert (settings.model, settings.loras, settings.steps, settings.guidance) == (
        "Qwen/Qwen-Image-Edit-2511",
        (),
        40,
        4.0,
    )
    assert (settings.offload, settings.offline, settings.bucket) == (False, False, None)


def test_a_lora_of_few_steps_changes_what_is_usual() -> None:
    settings = read("wan-text-to-video", LORA="owner/name/high.safetensors", LORA_2="/weights/low.safetensors")
    assert settings.loras == (("owner/name", "high.safetensors"), ("/weights", "low.safetensors"))
    assert (settings.steps, settings.guidance) == (4, 1.0)
    assert read(LORA="owner/name/8.safetensors", STEPS="8").steps == 8


def test_a_bucket_is_whole_or_not_there() -> None:
    assert read(**BUCKET).bucket == Bucket("https://s3.example", "key", "secret", "results", "us-east-1")
    assert read(**BUCKET, BUCKET_REGION="eu-central-1").bucket == Bucket(
        "https://s3.example", "key", "secret", "results", "eu-central-1"
    )


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"MODEL_KIND": "dall-e"}, r"MODEL_KIND is 'dall-e': set it to one of qwen-image-edit, qwen-image-2\.1, wan-"),
        ({"MODEL_KIND": ""}, "MODEL_KIND is '': set it to one of"),
        ({"LORA": "owner/name"}, "LORA is 'owner/name': write owner/name/file.safetensors"),
        ({"STEPS": "many"}, "STEPS is 'many': set it to a number from 1 to 100"),
        ({"FPS": "240"}, "FPS is '240': set it to a number from 1 to 60"),
        ({"OFFLOAD": "perhaps"}, "OFFLOAD is 'perhaps': set it to 1 or 0"),
        (
            {"BUCKET_NAME": "results", "BUCKET_ENDPOINT_URL": "https://s3.example"},
            "BUCKET_ACCESS_KEY_ID and BUCKET_SEC",
        ),
    ],
)
def test_a_mistake_names_its_variable(environment: dict[str, str], said: str) -> None:
    with pytest.raises(BadSettingsError, match=said):
        read_settings({"MODEL_KIND": "qwen-image-edit", **environment})


def test_weights_lie_in_a_folder_in_the_cache_or_elsewhere(tmp_path: Path) -> None:
    assert find_weights(str(tmp_path), Path("/nowhere"), offline=True) == str(tmp_path)
    assert find_weights("owner/name", tmp_path, offline=False) == "owner/name"
    with pytest.raises(BadSettingsError, match=r"there is no model owner/name: neither a folder, nor .*snapshots"):
        find_weights("owner/name", tmp_path, offline=True)
    with pytest.raises(BadSettingsError, match="there is no model /weights/none"):
        find_weights("/weights/none", tmp_path, offline=False)


def test_the_cache_says_which_snapshot_is_the_current_one(tmp_path: Path) -> None:
    cached = tmp_path / "models--owner--name"
    for age, name in ((9, "aaa"), (1, "bbb"), (5, "ccc")):
        (cached / "snapshots" / name).mkdir(parents=True)
        os.utime(cached / "snapshots" / name, (1_000 - age, 1_000 - age))
    assert find_weights("owner/name", tmp_path, offline=True) == str(cached / "snapshots" / "bbb"), "the newest"
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("aaa\n")
    assert find_weights("owner/name", tmp_path, offline=True) == str(cached / "snapshots" / "aaa")
    (cached / "refs" / "main").write_text("zzz")
    assert find_weights("owner/name", tmp_path, offline=True) == str(cached / "snapshots" / "bbb")
