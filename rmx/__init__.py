"""rmx: train reward models from human preferences, and find out whether to trust them."""

__version__ = "0.1.0"
