"""Each way a backbone can be out of reach ends in one line, before anything heavy; no network."""

import json
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
)

from rmx.errors import ModelError
from rmx.models import availability, check_backbone

LLAMA = {"model_type": "llama"}


def write(folder, config, *files):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    for name in files:
        (folder / name).touch()
    return str(folder)


def message_of(path) -> str:
    with pytest.raises(ModelError) as caught:
        check_backbone(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_with_config_and_safetensors_passes(tmp_path):
    check_backbone(write(tmp_path / "one", LLAMA, "model.safetensors"))
    check_backbone(write(tmp_path / "many", LLAMA, "model.safetensors.index.json"))


def test_a_multimodal_decoder_passes(tmp_path):
    config = {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}}
    check_backbone(write(tmp_path, config, "model.safetensors"))


@pytest.mark.parametrize(
    ("config", "files", "line"),
    [
        (LLAMA, ["pytorch_model.bin"], "must be in safetensors"),
        (LLAMA, [], "no model.safetensors"),
        ({"model_type": "novel"}, ["model.safetensors"], "does not know 'novel'"),
        ({}, ["model.safetensors"], "does not know None"),
        ({"model_type": "novel", "auto_map": {}}, ["model.safetensors"], "needs code from its own"),
        ({"model_type": "t5", "is_encoder_decoder": True}, ["model.safetensors"], "be a decoder"),
        ({"model_type": "vit"}, ["model.safetensors"], "must be a decoder"),
        (LLAMA | {"quantization_config": {}}, ["model.safetensors"], "must be unquantised"),
    ],
)
def test_a_folder_that_cannot_be_a_backbone_is_refused(tmp_path, config, files, line):
    assert line in message_of(write(tmp_path, config, *files))


def test_a_folder_without_config_is_refused(tmp_path):
    assert "must hold config.json" in message_of(str(tmp_path))


def test_a_config_that_is_not_json_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{")
    assert "must be JSON" in message_of(str(tmp_path))


@pytest.mark.parametrize("path", ["./none", "/none/at/all", "~/none", "a/b/c", ""])
def test_a_folder_that_is_absent_is_not_looked_up_on_the_hub(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert "folder" in message_of(path)


def test_a_file_is_refused(tmp_path):
    file = tmp_path / "model.gguf"
    file.touch()
    assert "must be a folder with config.json" in message_of(str(file))


def test_a_url_is_refused():
    assert "not a URL" in message_of("https://example.org/model")


class Hub:
    """Stands for the hub: answers each request from what a test sets."""

    def __init__(self, folder):
        self.folder = folder
        self.error: Exception | None = None
        self.files = ["config.json", "model.safetensors"]
        self.config: dict = LLAMA
        self.requests: list[str] = []

    def get_hf_file_metadata(self, url, *, timeout):
        assert timeout <= 5
        self.requests.append("metadata")
        if self.error:
            raise self.error

    def model_info(self, repo, *, timeout):
        assert timeout <= 5
        self.requests.append("files")
        return huggingface_hub.hf_api.ModelInfo(
            id=repo, siblings=[{"rfilename": name} for name in self.files]
        )

    def hf_hub_download(self, repo, name, **options):
        self.requests.append(name)
        return write(self.folder, self.config) + "/" + name

    def HfApi(self):
        return self


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Hub:
    hub = Hub(tmp_path / "hub")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    for name in ("get_hf_file_metadata", "hf_hub_download", "HfApi"):
        monkeypatch.setattr(huggingface_hub, name, getattr(hub, name))
    return hub


def hub_error(kind, status):
    response = SimpleNamespace(status_code=status, headers={}, request=None)
    return kind("the library's own\nlong story", response=response)


def test_a_hub_model_passes_with_nothing_but_its_config_downloaded(hub):
    check_backbone("some/model")
    assert hub.requests == ["metadata", "files", "config.json"]


@pytest.mark.parametrize(
    ("kind", "status", "line"),
    [
        (GatedRepoError, 403, "is gated: accept its licence at"),
        (GatedRepoError, 401, "set HF_TOKEN"),
        (HfHubHTTPError, 403, "is gated"),
        (RepositoryNotFoundError, 404, "there is no model 'some/model'"),
        (RepositoryNotFoundError, 401, "there is no model"),
        (RemoteEntryNotFoundError, 404, "has no config.json on the hub"),
        (HfHubHTTPError, 503, "the hub answered 503"),
    ],
)
def test_what_the_hub_refuses_ends_before_any_download(hub, kind, status, line):
    hub.error = hub_error(kind, status)
    assert line in message_of("some/model")
    assert hub.requests == ["metadata"]


@pytest.mark.parametrize("error", [ConnectionError("no route"), TimeoutError(), OSError("dns")])
def test_an_unreachable_hub_is_asked_once(hub, error):
    hub.error = error
    message = message_of("some/model")
    assert "can't be reached" in message
    assert type(error).__name__ in message
    assert hub.requests == ["metadata"]


def test_pickled_weights_on_the_hub_are_refused(hub):
    hub.files = ["config.json", "pytorch_model.bin"]
    assert "must be in safetensors" in message_of("some/model")


def test_an_unknown_kind_on_the_hub_is_refused(hub):
    hub.config = {"model_type": "novel", "auto_map": {}}
    assert "needs code from its own repository" in message_of("some/model")


def test_offline_and_not_cached_is_said_at_once(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in message_of("some/model")
    assert hub.requests == []


def test_an_id_that_cannot_be_one_is_refused(hub, monkeypatch):
    monkeypatch.undo()  # the library's own check, before any request
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert "a hub id such as Qwen/Qwen3-0.6B" in message_of("some model!")


def cache(hub, monkeypatch, *files):
    """Put a model in the local cache, as a download would have."""
    found = {name: str(hub.folder / name) for name in ("config.json", *files)}
    write(hub.folder, LLAMA, *files)
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda repo, name: found.get(name)
    )


@pytest.mark.parametrize("offline", [False, True])
def test_a_cached_model_needs_no_network(hub, monkeypatch, offline):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    cache(hub, monkeypatch, "model.safetensors")
    check_backbone("some/model")
    assert availability.is_local("some/model")
    assert hub.requests == []


def test_a_model_with_a_shard_missing_is_not_cached(hub, monkeypatch):
    index, first, second = "model.safetensors.index.json", "1.safetensors", "2.safetensors"
    weight_map = {"weight_map": {"a": first, "b": second}}
    cache(hub, monkeypatch, index, first, second)
    (hub.folder / index).write_text(json.dumps(weight_map))
    assert availability.is_local("some/model")
    cache(hub, monkeypatch, index, first)
    (hub.folder / index).write_text(json.dumps(weight_map))
    assert not availability.is_local("some/model")


def test_the_default_needs_no_network_where_its_package_is_installed(hub, monkeypatch, tmp_path):
    monkeypatch.setattr(availability, "find_smollm2", lambda: str(tmp_path))
    check_backbone("smollm2_135m")
    assert hub.requests == []


def test_the_default_is_looked_up_on_the_hub_where_its_package_is_absent(hub, monkeypatch):
    monkeypatch.setattr("rmx.models.smollm2.PACKAGE", "no_such_package")
    check_backbone("smollm2_135m")
    assert hub.requests[0] == "metadata"
