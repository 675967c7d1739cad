"""One module per kind of asset: thin bodies that call the engine and report its result."""
