"""A small Bookinfo of our own: Istio's service names, ports, paths and headers, without images.

``python -m clew.demo.bookinfo SERVICE`` runs one of productpage, details, reviews, ratings.
The programs know nothing of a mesh: they use the standard library, plain HTTP and host names.
"""
