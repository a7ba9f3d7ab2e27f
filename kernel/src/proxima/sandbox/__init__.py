"""What a plugin runs inside: a process that the operating system holds to what the plugin declared."""

from proxima.sandbox.expressions import evaluate

__all__ = ["evaluate"]
