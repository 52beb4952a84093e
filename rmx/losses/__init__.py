"""The losses: pure functions of the margin or the rewards, and the modules that `loss=` names.

`Loss` in base.py is the interface. A new loss is one class here or elsewhere in rmx, and one YAML
in conf/loss/ whose `_target_` names it.
"""

from rmx.losses.base import Loss, TiePolicy
from rmx.losses.bt import (
    BradleyTerry,
    MarginBradleyTerry,
    ScaledBradleyTerry,
    bradley_terry,
    margin_bradley_terry,
)
from rmx.losses.graded import Ordinal, ordinal, ordinal_log_probs
from rmx.losses.groupwise import KWise, PlackettLuce, plackett_luce
from rmx.losses.scores import Brier, Hinge, ScoreMSE, brier, hinge, score_mse
from rmx.losses.ties import (
    Davidson,
    RaoKupper,
    davidson_log_probs,
    outcome_cross_entropy,
    rao_kupper_log_probs,
)

__all__ = [
    "BradleyTerry",
    "Brier",
    "Davidson",
    "Hinge",
    "KWise",
    "Loss",
    "MarginBradleyTerry",
    "Ordinal",
    "PlackettLuce",
    "RaoKupper",
    "ScaledBradleyTerry",
    "ScoreMSE",
    "TiePolicy",
    "bradley_terry",
    "brier",
    "davidson_log_probs",
    "hinge",
    "margin_bradley_terry",
    "ordinal",
    "ordinal_log_probs",
    "outcome_cross_entropy",
    "plackett_luce",
    "rao_kupper_log_probs",
    "score_mse",
]
