"""The types that plugins exchange. Nothing here imports a plugin, and nothing third-party but numpy."""
