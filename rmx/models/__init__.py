"""Texts to rewards: backbone, encoder, head, and which of their parameters train.

Read reward_model.py first; it joins the others.
"""

from rmx.models.availability import check_backbone
from rmx.models.backbone import Backbone, load_backbone
from rmx.models.encoders import JointEncoder, SeparateEncoder
from rmx.models.freezing import (
    FreezeReport,
    FreezeStrategy,
    HeadOnly,
    LastLayer,
    LastN,
    LoRA,
    NoFreeze,
)
from rmx.models.heads import LinearHead, MLPHead
from rmx.models.reward_model import RewardModel
from rmx.models.tiny import tiny_backbone

__all__ = [
    "Backbone",
    "FreezeReport",
    "FreezeStrategy",
    "HeadOnly",
    "JointEncoder",
    "LastLayer",
    "LastN",
    "LinearHead",
    "LoRA",
    "MLPHead",
    "NoFreeze",
    "RewardModel",
    "SeparateEncoder",
    "check_backbone",
    "load_backbone",
    "tiny_backbone",
]
