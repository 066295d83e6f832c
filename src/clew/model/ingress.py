"""Ingress of Kubernetes: HTTP routes into the cluster, and the classes that say whose they are."""

from __future__ import annotations

from clew.model.base import OpenModel, Resource


class ServiceBackendPort(OpenModel, frozen=True, kw_only=True):
    name: str = ""
    number: int | None = None


class IngressServiceBackend(OpenModel, frozen=True, kw_only=True):
    name: str = ""
    port: ServiceBackendPort | None = None


class IngressBackend(OpenModel, frozen=True, kw_only=True):
    service: IngressServiceBackend | None = None


class HTTPIngressPath(OpenModel, frozen=True, kw_only=True):
    path: str = ""
    path_type: str = ""
    backend: IngressBackend = IngressBackend()


class HTTPIngressRule(OpenModel, frozen=True, kw_only=True):
    paths: tuple[HTTPIngressPath, ...] = ()


class IngressRule(OpenModel, frozen=True, kw_only=True):
    host: str = ""
    http: HTTPIngressRule | None = None


class IngressTLS(OpenModel, frozen=True, kw_only=True):
    hosts: tuple[str, ...] = ()
    secret_name: str = ""


class IngressSpec(OpenModel, frozen=True, kw_only=True):
    ingress_class_name: str = ""
    default_backend: IngressBackend | None = None
    tls: tuple[IngressTLS, ...] = ()
    rules: tuple[IngressRule, ...] = ()


class Ingress(Resource, frozen=True, kw_only=True):
    spec: IngressSpec = IngressSpec()


class IngressClassSpec(OpenModel, frozen=True, kw_only=True):
    controller: str = ""


class IngressClass(Resource, frozen=True, kw_only=True):
    spec: IngressClassSpec = IngressClassSpec()
