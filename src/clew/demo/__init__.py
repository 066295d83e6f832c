"""The bundled Bookinfo and the guided tour of ``clew demo``."""
