"""Small random models of every architecture, and rows of bytes to feed them."""

from collections.abc import Callable, Sequence

import pytest
import torch

from rmx.models import JointEncoder, LinearHead, RewardModel, tiny_backbone
from rmx.types import PaddedTokens

Rows = Sequence[tuple[Sequence[int], int]]  # (token ids, prompt length)


@pytest.fixture(params=["llama", "mistral", "qwen3", "gemma3", "gpt2", "gpt_neox"])
def architecture(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def pad() -> Callable[..., PaddedTokens]:
    """Lays rows out as a padded batch."""

    def pad_rows(rows: Rows, *, width: int = 0, pad_id: int = 0, side: str = "right"):
        width = max(width, *(len(ids) for ids, _ in rows))
        ids_CT = torch.full((len(rows), width), pad_id)
        mask_CT = torch.zeros(len(rows), width, dtype=torch.long)
        for i, (ids, _) in enumerate(rows):
            place = slice(0, len(ids)) if side == "right" else slice(width - len(ids), width)
            ids_CT[i, place] = torch.tensor(ids)
            mask_CT[i, place] = 1
        return PaddedTokens(ids_CT, mask_CT, torch.tensor([length for _, length in rows]))

    return pad_rows


@pytest.fixture
def rows() -> Rows:
    """Four completions of two prompts, of 41, 25, 33 and 9 tokens: some beyond the tiny windows."""
    generator = torch.Generator().manual_seed(1)

    def draw(count: int) -> list[int]:
        return torch.randint(4, 260, (count,), generator=generator).tolist()

    first, second = draw(11), draw(5)
    return [
        ([*first, *draw(30)], 11),
        ([*first, *draw(14)], 11),
        ([*second, *draw(28)], 5),
        ([*second, *draw(4)], 5),
    ]


@pytest.fixture
def make_model() -> Callable[..., RewardModel]:
    """Makes a reward model: the backbone always the same, the head by `head_seed`."""

    def make(architecture: str = "llama", *, encoder=None, head_seed: int = 0, **options):
        backbone = tiny_backbone(architecture, **options)  # type: ignore[arg-type]
        encoder = encoder or JointEncoder()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(head_seed)
            head = LinearHead(encoder.output_size(backbone.hidden_size))
        return RewardModel(backbone, encoder=encoder, head=head)

    return make
