"""How the low-rank simulator scales against Cirq's density matrix simulator."""
