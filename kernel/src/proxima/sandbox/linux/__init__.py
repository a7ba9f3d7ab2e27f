"""The lock: how a Linux process gives up what its policy does not name. Standard library and `ctypes` only."""
