"""The certificate authority: CSR in, certificate out, as pure functions, and keys on disk."""
