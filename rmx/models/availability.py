"""Tells, before anything heavy, whether a backbone can be had and trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
)
from transformers import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from rmx.errors import ModelError
from rmx.models.smollm2 import HUB_ID, SMOLLM2, find_smollm2

TIMEOUT_S = 5.0  # for each of the few small requests; a hub that is reachable answers in under 1
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
OTHERWISE = "or take model=smollm2_135m"


def check_backbone(path: str) -> None:
    """Return if `path` names a backbone that `load_backbone` can load; fetches config.json at most.

    Raises:
        ModelError: in one line, for a model that is gated, absent or out of reach; for pickled or
            quantised weights; for an architecture that transformers doesn't know, that would need
            the repository's own code, or that is no decoder.
    """
    if path == SMOLLM2:
        path = find_smollm2()
        if path != HUB_ID:
            return
    if "://" in path:
        raise ModelError(f"model.path must be a hub id or a folder, not a URL, got {path!r}")
    folder = Path(path).expanduser()
    if folder.is_dir():
        _check_folder(folder)
    elif folder.exists():
        raise ModelError(
            f"model.path must be a folder with config.json in it, got the file {path!r}"
        )
    elif path.startswith((".", "/", "~")) or path.count("/") > 1 or not path.strip("/"):
        raise ModelError(
            f"model.path names a folder that does not exist: {path!r}; correct the path"
        )
    else:
        _check_hub(path)


def is_local(path: str) -> bool:
    """Return whether `path` is a folder, or a hub id whose config and weights are all cached."""
    if Path(path).expanduser().is_dir():
        return True
    if _cached(path, "config.json") is None:
        return False
    if _cached(path, WEIGHTS):
        return True
    index = _cached(path, INDEX)
    return index is not None and all(
        _cached(path, shard) for shard in set(_read_json(index)["weight_map"].values())
    )


def _check_folder(folder: Path) -> None:
    config = folder / "config.json"
    if not config.is_file():
        raise ModelError(f"a model folder must hold config.json; {str(folder)!r} has none")
    _check_config(str(folder), _read_json(config))
    _check_weights(str(folder), [file.name for file in folder.iterdir()])


def _check_hub(repo: str) -> None:
    if is_local(repo):
        config = _cached(repo, "config.json")
        assert config is not None
        _check_config(repo, _read_json(config))
        return
    if constants.is_offline_mode():
        raise ModelError(
            f"{repo!r} is not in the local Hugging Face cache and HF_HUB_OFFLINE is set: unset it "
            f"to download the model, {OTHERWISE}"
        )
    try:
        url = huggingface_hub.hf_hub_url(repo, "config.json")
        # Tells at once, without the retries of a download, and before it, whether we may.
        huggingface_hub.get_hf_file_metadata(url, timeout=TIMEOUT_S)
        files = huggingface_hub.HfApi().model_info(repo, timeout=TIMEOUT_S).siblings or []
        config = huggingface_hub.hf_hub_download(repo, "config.json", etag_timeout=TIMEOUT_S)
    except Exception as error:  # the HTTP library below differs by version, and so do its errors
        _raise_hub_error(repo, error)
    _check_config(repo, _read_json(Path(config)))
    _check_weights(repo, [file.rfilename for file in files])


def _raise_hub_error(repo: str, error: Exception) -> NoReturn:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, HFValidationError):
        reason = f"model.path must be a folder or a hub id such as Qwen/Qwen3-0.6B, got {repo!r}"
    elif isinstance(error, GatedRepoError) or status == 403:
        reason = (
            f"{repo!r} is gated: accept its licence at {constants.ENDPOINT}/{repo} and set "
            f"HF_TOKEN to a token that may read it, {OTHERWISE}"
        )
    elif isinstance(error, RepositoryNotFoundError) or status == 401:
        reason = (
            f"there is no model {repo!r}, neither as a folder nor on the hub (a private one needs "
            f"HF_TOKEN): correct model.path, {OTHERWISE}"
        )
    elif isinstance(error, EntryNotFoundError):
        reason = f"{repo!r} has no config.json on the hub, so it is no transformers model"
    elif isinstance(error, HfHubHTTPError):
        reason = f"the hub answered {status} for {repo!r}: try again later, {OTHERWISE}"
    else:
        reason = (
            f"{repo!r} is not in the local Hugging Face cache and the hub can't be reached "
            f"({type(error).__name__}): connect, give a local folder, {OTHERWISE}"
        )
    raise ModelError(reason) from error


def _check_config(path: str, config: dict[str, Any]) -> None:
    kind = config.get("model_type")
    if kind not in CONFIG_MAPPING:
        if "auto_map" in config:
            raise ModelError(
                f"{path!r} needs code from its own repository, which rmx never runs: take a model "
                "whose architecture transformers has built in"
            )
        raise ModelError(
            f"transformers must know the model's type; it does not know {kind!r} of {path!r}: take "
            "another model or a newer transformers"
        )
    text_kind = config.get("text_config", {}).get("model_type", kind)
    is_decoder = {kind, text_kind} & MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.keys()
    if config.get("is_encoder_decoder") or not is_decoder:
        raise ModelError(f"a backbone must be a decoder; {path!r} is of type {kind!r}")
    if "quantization_config" in config:
        raise ModelError(f"a backbone's weights must be unquantised to be trained; {path!r} is not")


def _check_weights(path: str, files: list[str]) -> None:
    if WEIGHTS in files or INDEX in files:
        return
    if any(name.endswith((".bin", ".pt", ".pth", ".ckpt")) for name in files):
        raise ModelError(
            f"weights must be in safetensors; {path!r} has pickled ones, which can run code when "
            "loaded: convert them first (save_pretrained writes safetensors)"
        )
    raise ModelError(f"{path!r} has a config.json but no {WEIGHTS} or {INDEX}")


def _cached(repo: str, name: str) -> Path | None:
    try:
        found = huggingface_hub.try_to_load_from_cache(repo, name)
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(
            f"{str(file)!r} must be JSON: {error}; download the model again"
        ) from error
    if not isinstance(content, dict):
        raise ModelError(f"{str(file)!r} must hold a JSON object; download the model again")
    return content
