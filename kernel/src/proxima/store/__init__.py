"""Plugins that `proxima plugin install` put in place, each with its own dependencies, outside every ``sys.path``."""
