"""EnvoyFilters: patches to what has been compiled, one module for each kind of thing patched."""
