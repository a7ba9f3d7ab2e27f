"""The conformance kit's checks of a backend, a module per subject."""
