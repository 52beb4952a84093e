"""What a run shows to people: figures and plain-text tables."""
