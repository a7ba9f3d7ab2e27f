"""What `proxima plugin validate` holds against a built wheel, beyond the rules by which the store takes one in."""
