"""The life of plugins: found, judged, activated on first use, turned off, quarantined."""
