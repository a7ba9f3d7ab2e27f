"""The commands of the execution plugin, one module each."""
