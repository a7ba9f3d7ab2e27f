"""The conformance kits beside the backends', a module per contribution kind."""
