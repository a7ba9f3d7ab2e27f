"""Low-rank noisy simulation with gradients: a PennyLane device and a Proxima backend."""
