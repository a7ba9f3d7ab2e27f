"""``python -m proxima``."""

from proxima.cli import main

raise SystemExit(main())
