"""Proxima with its default plugins: this distribution holds no code, only dependencies."""
