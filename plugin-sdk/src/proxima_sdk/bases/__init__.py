"""The base classes of contributions, one module per kind; `proxima_sdk` exports them all."""
