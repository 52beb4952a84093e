"""Makes a backbone's tokenizer fit for reward models: a pad token that is not EOS, and a template.

Pooling here goes by the mask, so a pad token equal to EOS would do no harm inside rmx. But others
who load an exported model pool at "the rightmost token that isn't the pad token", which would then
skip the EOS that was trained on.
"""

from __future__ import annotations

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rmx.errors import ModelError

PAD_TOKEN = "<|pad|>"

# For base models without a template: "User: …\n\nAssistant: …<eos>". No BOS where it is the EOS
# (GPT-2), which would put an end marker at the start of every text.
PLAIN_TEMPLATE = (
    "{% if bos_token and bos_token != eos_token %}{{ bos_token }}{% endif %}"
    "{% for message in messages %}"
    "{{ message['role'] | capitalize }}: {{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
    "{% if not loop.last %}{{ '\\n\\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '\\n\\nAssistant:' }}{% endif %}"
)


def prepare_tokenizer(tokenizer: PreTrainedTokenizerBase) -> None:
    """Give the tokenizer a pad token distinct from EOS, right padding and a chat template.

    Raises:
        ModelError: where it has no EOS token.
    """
    if tokenizer.eos_token is None:
        raise ModelError(
            "rmx needs a tokenizer with an end-of-sequence token; this one has none: set eos_token "
            "in its tokenizer_config.json"
        )
    tokenizer.padding_side = "right"
    # Assigning to pad_token would leave a new token out of the vocabulary.
    tokenizer.add_special_tokens({"pad_token": choose_pad_token(tokenizer)})
    if tokenizer.chat_template is None:
        tokenizer.chat_template = PLAIN_TEMPLATE


def choose_pad_token(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return a token for padding that never ends or starts a text.

    One that the vocabulary has is better than a new one, which may need a row of embeddings more.
    In this order: its own, if distinct from EOS and BOS; the unknown token (byte-level and
    byte-fallback vocabularies never emit it); a special token whose name says pad, then one that
    says reserved or unused, as Llama 3's do; else `<|pad|>`, new.
    """
    taken = (tokenizer.eos_token, tokenizer.bos_token)
    specials = [
        token.content
        for _, token in sorted(tokenizer.added_tokens_decoder.items())
        if token.special
    ]
    by_name = [
        token
        for word in ("pad", "reserved", "unused")
        for token in specials
        if word in token.lower()
    ]
    known = (tokenizer.pad_token, tokenizer.unk_token, *by_name)
    return next((str(token) for token in known if token and token not in taken), PAD_TOKEN)


def fit_embeddings(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Give the model a row for every token id, and tell its config the special ids.

    A new row is 0: padding is masked, so it is neither read nor trained.
    """
    num_rows = len(_embeddings(model))
    if len(tokenizer) > num_rows:  # many vocabularies are padded, and have the row
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        _embeddings(model).data[num_rows:] = 0.0
    model.config.pad_token_id = tokenizer.pad_token_id
    model.config.eos_token_id = tokenizer.eos_token_id
    model.config.bos_token_id = tokenizer.bos_token_id


def _embeddings(model: PreTrainedModel) -> Tensor:
    weight = model.get_input_embeddings().weight
    assert isinstance(weight, Tensor)
    return weight
