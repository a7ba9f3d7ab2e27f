"""``plugin.yaml``: the model that an author's manifest is held against, and its compiler."""
