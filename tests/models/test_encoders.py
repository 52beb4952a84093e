"""Pooling reads the right positions; separate encoding splits rows where it should."""

import pytest
import torch
from torch.testing import assert_close

from rmx.errors import ConfigError
from rmx.models import JointEncoder, LinearHead, RewardModel, SeparateEncoder, tiny_backbone
from rmx.models.encoders import FILL, split_tokens
from rmx.models.pooling import pool_last_token, pool_mean, positions

# hidden[c, t] = [10 c + t], so that a pooled value names its position
HIDDEN_CTH = (10.0 * torch.arange(2)[:, None] + torch.arange(4))[..., None]
PROMPT_LENGTH_C = torch.tensor([1, 1])


def test_positions_count_real_tokens_on_either_side_of_padding():
    mask_CT = torch.tensor([[1, 1, 1, 0], [0, 1, 1, 1]])
    assert positions(mask_CT).tolist() == [[0, 1, 2, 2], [0, 0, 1, 2]]


def test_last_token_is_the_last_real_one():
    mask_CT = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 1]])
    assert pool_last_token(HIDDEN_CTH, mask_CT, PROMPT_LENGTH_C).tolist() == [[1.0], [13.0]]


def test_mean_is_over_the_completion():
    mask_CT = torch.tensor([[1, 1, 1, 0], [0, 1, 1, 1]])
    # row 0: (1 + 2) / 2; row 1, padded on the left, has its prompt at 11: (12 + 13) / 2
    assert pool_mean(HIDDEN_CTH, mask_CT, PROMPT_LENGTH_C).tolist() == [[1.5], [12.5]]


def test_mean_reads_no_padding_even_where_it_is_nan():
    mask_CT = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 0]])
    hidden_CTH = HIDDEN_CTH.clone()
    hidden_CTH[:, 3] = float("nan")
    assert pool_mean(hidden_CTH, mask_CT, PROMPT_LENGTH_C).tolist() == [[1.5], [11.5]]


@pytest.mark.parametrize("pool", [pool_last_token, pool_mean])
def test_pooled_features_are_float32(pool):
    mask_CT = torch.ones(2, 4, dtype=torch.long)
    assert pool(HIDDEN_CTH.bfloat16(), mask_CT, PROMPT_LENGTH_C).dtype == torch.float32


def test_an_unknown_pooling_is_refused():
    with pytest.raises(ConfigError, match="one of last_token, mean, got 'max'"):
        JointEncoder(pooling="max")  # type: ignore[arg-type]


def test_rows_split_into_distinct_prompts_and_completions(pad):
    # Token 0 is also the pad token; [5, 0] and [5] are two prompts that padding would confuse.
    tokens = pad([([5, 0, 7], 2), ([5, 8, 0], 1), ([5, 0, 9, 9], 2)])
    prompt_UT, of_prompt_C, completion_CT = split_tokens(tokens)
    prompts = [[id for id in row if id != FILL] for row in prompt_UT[of_prompt_C].tolist()]
    assert prompts == [[5, 0], [5], [5, 0]]
    assert len(prompt_UT) == 2
    assert completion_CT.tolist() == [[7, FILL], [8, 0], [9, 9]]


def test_separate_features_are_completion_and_its_product_with_the_prompt(pad):
    model = tiny_backbone().model
    prompt, first, second = [9, 8, 7], [20, 21], [30, 31, 32]

    def last_hidden(ids):
        return model(input_ids=torch.tensor([ids])).last_hidden_state[0, -1]

    p, a, b = last_hidden(prompt), last_hidden(first), last_hidden(second)
    p = p / p.square().mean().sqrt()
    expected_CF = torch.stack([torch.cat([a, p * a]), torch.cat([b, p * b])])
    tokens = pad([([*prompt, *first], 3), ([*prompt, *second], 3)])
    assert_close(SeparateEncoder()(model, tokens), expected_CF, atol=1e-5, rtol=1e-5)


def test_a_prompt_is_read_once_for_all_its_completions(pad, rows):
    backbone = tiny_backbone()
    num_rows = []
    backbone.model.register_forward_pre_hook(
        lambda module, args, kwargs: num_rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    SeparateEncoder()(backbone.model, pad(rows))
    assert num_rows == [2, 4]  # two prompts, four completions


@torch.no_grad()
def test_in_separate_encoding_the_prompt_decides_the_margin(pad):
    encoder = SeparateEncoder()
    model = RewardModel(tiny_backbone(), encoder=encoder, head=LinearHead(128))

    def margin(prompt):
        reward_C = model(pad([([*prompt, 20, 21], 3), ([*prompt, 30, 31], 3)]))
        return (reward_C[0] - reward_C[1]).item()

    assert abs(margin([9, 8, 7]) - margin([50, 60, 70])) > 1e-3


def test_separate_encoding_passes_gradients_to_the_backbone(make_model, pad, rows):
    model = make_model(encoder=SeparateEncoder(pooling="mean"))
    model(pad(rows)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
