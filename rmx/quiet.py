"""Keeps libraries' chatter off a normal run, so that what is printed is worth reading."""

from __future__ import annotations

import logging
import warnings

# Messages about choices that rmx makes on purpose; everything else is still shown.
IGNORED = (
    ".*does not have many workers which may be a bottleneck.*",  # a batch takes microseconds
    # Metrics are summed over ranks before they are logged.
    ".*It is recommended to use `self.log\\(.*sync_dist=True\\)`.*",
    ".*FSDP2-wrapped module.*returned a view tensor.*",  # rewards are never changed in place
    ".*torch.jit.script.*is deprecated.*",
    ".*LeafSpec.*deprecated.*",
    ".*module\\(s\\) in eval mode at the start of training.*",  # frozen modules are meant to be
    ".*GPU available but not used.*",
    ".*The number of training batches.*is smaller than the logging interval.*",
)


def quiet_libraries() -> None:
    """Silence Lightning's banners and the warnings of IGNORED."""
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.distributed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in IGNORED:
        warnings.filterwarnings("ignore", message=message)
