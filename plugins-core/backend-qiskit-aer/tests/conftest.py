"""The tests of the backend on Qiskit Aer share `aer_noise_models`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
