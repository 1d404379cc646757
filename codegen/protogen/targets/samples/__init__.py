"""The target `samples`: a labelled corpus per protocol."""
