"""Loading a folder: its weights, a fit tokenizer, and nothing printed."""

import json
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE
from torch.testing import assert_close
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    PreTrainedTokenizerFast,
)

from rmx.errors import ConfigError, ModelError
from rmx.models import (
    JointEncoder,
    LastLayer,
    LinearHead,
    RewardModel,
    load_backbone,
    tiny_backbone,
)
from rmx.models import backbone as backbone_module
from rmx.models.decoder import find_decoder_layers, find_final_norm
from rmx.models.tiny import byte_tokenizer
from rmx.models.tokenizer import PLAIN_TEMPLATE, choose_pad_token, fit_embeddings, prepare_tokenizer


@pytest.fixture
def folder(tmp_path, architecture):
    """A language model with an lm_head and dropout, as a hub repository has it."""
    tiny = tiny_backbone(architecture)
    config = tiny.model.config
    for name in ("attention_dropout", "hidden_dropout", "attn_pdrop", "resid_pdrop", "embd_pdrop"):
        if hasattr(config, name):
            setattr(config, name, 0.3)
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    return tmp_path


def test_a_language_model_loads_without_its_head_and_without_a_word(folder, capfd):
    capfd.readouterr()
    backbone = load_backbone(str(folder))
    assert capfd.readouterr() == ("", "")
    whole = AutoModelForCausalLM.from_pretrained(folder).base_model.eval()
    input_ids = torch.arange(4, 40)[None]
    expected = whole(input_ids=input_ids).last_hidden_state
    # Equal in training mode too: the dropout of 0.3 is gone.
    assert_close(backbone.model(input_ids=input_ids).last_hidden_state, expected)
    assert backbone.model.training
    assert backbone.model.config.use_cache is False
    assert backbone.name == str(folder)


def test_weights_come_in_the_dtype_that_was_asked_for(folder):
    model = load_backbone(str(folder), dtype="bfloat16").model
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}


def test_every_architecture_has_its_layers_and_norm_found(architecture):
    model = tiny_backbone(architecture, num_layers=3).model
    layers = find_decoder_layers(model, 3)
    assert layers == ("h" if architecture == "gpt2" else "layers")
    norm = {"gpt2": "ln_f", "gpt_neox": "final_layer_norm"}.get(architecture, "norm")
    assert find_final_norm(model, layers) == norm


def test_a_model_without_a_list_of_layers_is_refused():
    with pytest.raises(ModelError, match="whose 2 layers are one list, which Linear has not"):
        find_decoder_layers(torch.nn.Linear(2, 2), 2)
    model = torch.nn.Module()
    model.layers = torch.nn.ModuleList([torch.nn.Linear(2, 2)])
    with pytest.raises(ModelError, match="one norm after its layers; Module has 0"):
        find_final_norm(model, "layers")


@pytest.fixture
def llama_folder(tmp_path):
    tiny = tiny_backbone()
    tiny.model.save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    return tmp_path


def test_missing_weights_are_refused(llama_folder):
    config = json.loads((llama_folder / "config.json").read_text())
    config["num_hidden_layers"] = 3
    (llama_folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"lacks 9, layers\.2\..* first"):
        load_backbone(str(llama_folder))


def test_damaged_weights_are_refused_in_one_line(llama_folder):
    (llama_folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="can't be loaded: ") as caught:
        load_backbone(str(llama_folder))
    assert "\n" not in str(caught.value)


def test_an_unknown_attention_is_refused_in_one_line(llama_folder):
    with pytest.raises(ModelError, match=r"can't be loaded: .*soft") as caught:
        load_backbone(str(llama_folder), attention="soft")
    assert "\n" not in str(caught.value)


def test_an_unknown_dtype_is_refused(llama_folder):
    with pytest.raises(ConfigError, match="one of float32, bfloat16, float16, got 'int8'"):
        load_backbone(str(llama_folder), dtype="int8")  # type: ignore[arg-type]


def test_a_home_folder_is_found(llama_folder, monkeypatch):
    monkeypatch.setenv("HOME", str(llama_folder.parent))
    assert load_backbone(f"~/{llama_folder.name}").hidden_size == 64


def test_own_code_of_a_repository_is_never_run(llama_folder):
    config = json.loads((llama_folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}
    (llama_folder / "config.json").write_text(json.dumps(config))
    (llama_folder / "evil.py").write_text("raise SystemExit('ran')")
    assert type(load_backbone(str(llama_folder)).model).__name__ == "LlamaModel"


def test_of_a_multimodal_model_only_the_text_decoder_is_kept(tmp_path, rows, pad):
    text = tiny_backbone("gemma3").model.config.to_dict()
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    vision |= {"num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4)
    Gemma3ForConditionalGeneration(config).save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    backbone = load_backbone(str(tmp_path))
    assert type(backbone.model).__name__ == "Gemma3TextModel"
    model = RewardModel(backbone, encoder=JointEncoder(), head=LinearHead(backbone.hidden_size))
    assert LastLayer().apply(model).num_frozen_layers == 1
    assert model(pad(rows)).shape == (4,)


def test_every_dropout_of_a_config_becomes_zero():
    for kind in ("gpt2", "gpt_neox", "llama", "opt", "phi", "falcon"):
        config = backbone_module.without_dropout(AutoConfig.for_model(kind))
        rates = {k: v for k, v in config.to_dict().items() if "drop" in k and v is not None}
        assert rates, kind
        assert all(rate == 0 for rate in rates.values()), (kind, rates)


def make_tokenizer(vocab: list[str], **specials: str) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(BPE(vocab={token: i for i, token in enumerate(vocab)}, merges=[]))
    tokenizer.add_special_tokens([token for token in vocab if token.startswith("<")])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **specials)


@pytest.mark.parametrize(
    ("case", "vocab", "specials", "pad"),
    [
        ("its own", ["<p>", "<s>", "</s>"], {"pad_token": "<p>", "unk_token": "<s>"}, "<p>"),
        ("Llama 2", ["<unk>", "<s>", "</s>"], {"unk_token": "<unk>", "bos_token": "<s>"}, "<unk>"),
        ("pad is EOS", ["<unk>", "</s>"], {"pad_token": "</s>", "unk_token": "<unk>"}, "<unk>"),
        ("Llama 3", ["<b>", "</s>", "<|reserved_0|>"], {"bos_token": "<b>"}, "<|reserved_0|>"),
        ("Llama 3.1", ["</s>", "<|reserved_0|>", "<|right_pad_id|>"], {}, "<|right_pad_id|>"),
        ("GPT-NeoX", ["</s>", "<|padding|>"], {"unk_token": "</s>"}, "<|padding|>"),
        ("GPT-2", ["</s>"], {"bos_token": "</s>", "unk_token": "</s>"}, "<|pad|>"),
    ],
)
def test_pad_token_is_one_that_ends_no_text(case, vocab, specials, pad):
    tokenizer = make_tokenizer([*vocab, "a"], eos_token="</s>", **specials)
    assert choose_pad_token(tokenizer) == pad
    prepare_tokenizer(tokenizer)
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert tokenizer.padding_side == "right"


def test_a_new_pad_token_gets_a_row_of_zeros():
    model: Any = tiny_backbone("gpt2").model
    old = model.wte.weight.detach().clone()
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"pad_token": "<new>"})
    fit_embeddings(model, tokenizer)
    assert torch.equal(model.wte.weight, torch.cat([old, torch.zeros(1, 64)]))
    assert model.config.pad_token_id == tokenizer.pad_token_id == 260


def test_a_tokenizer_without_an_end_token_is_refused():
    with pytest.raises(ModelError, match="end-of-sequence token"):
        prepare_tokenizer(make_tokenizer(["a"]))


def test_the_plain_template_ends_each_answer_and_extends_its_prompt():
    tokenizer = make_tokenizer(["<s>", "</s>"], bos_token="<s>", eos_token="</s>")
    prepare_tokenizer(tokenizer)
    assert tokenizer.chat_template == PLAIN_TEMPLATE
    user, assistant = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}
    prompt = tokenizer.apply_chat_template([user], tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template([user, assistant], tokenize=False)
    assert prompt == "<s>User: Hi\n\nAssistant:"
    assert whole == f"{prompt} Yo</s>"


def test_the_plain_template_has_no_bos_where_it_is_the_eos():
    tokenizer = make_tokenizer(["</s>", "a"], bos_token="</s>", eos_token="</s>")
    prepare_tokenizer(tokenizer)
    user = {"role": "user", "content": "Hi"}
    assert tokenizer.apply_chat_template([user], tokenize=False) == "User: Hi"
