"""Operations about who may do what, and by which certificates and tokens."""

from __future__ import annotations

from clew.api.access import ApiTokenList, ApiTokenRequest, CreatedApiToken
from clew.api.authority import (
    AuthorityStatus,
    CreatedToken,
    RotationRequest,
    TokenList,
    TokenRequest,
)
from clew.api.authorization import Matrix, Permission
from clew.api.operation import NUMBER, TEXT, Operation

OPERATIONS = (
    Operation(
        method="get",
        path="/v1/authorization",
        summary="Whether a workload may send a request to a service, and which rule says so.",
        answer=Permission,
        query=(
            *((name, TEXT) for name in ("from", "to", "namespace", "method", "path")),
            ("port", NUMBER),
            *((name, {"type": "array", "items": TEXT}) for name in ("header", "claim")),
        ),
        errors=(400, 404),
    ),
    Operation(
        method="get",
        path="/v1/authorization/matrix",
        summary="Who may call whom.",
        answer=Matrix,
        query=(("namespace", TEXT),),
    ),
    Operation(
        method="get",
        path="/v1/authority",
        summary="The certificate authority.",
        answer=AuthorityStatus,
    ),
    Operation(
        method="post",
        path="/v1/authority/rotation",
        summary="Begin to change roots.",
        answer=AuthorityStatus,
        body=RotationRequest,
        errors=(400, 409, 413),
    ),
    Operation(method="get", path="/v1/tokens", summary="Join tokens.", answer=TokenList),
    Operation(
        method="post",
        path="/v1/tokens",
        summary="Make a join token for a host.",
        answer=CreatedToken,
        status=201,
        body=TokenRequest,
        errors=(400, 413),
    ),
    Operation(
        method="delete", path="/v1/tokens/{id}", summary="Revoke a join token.", errors=(404,)
    ),
    Operation(
        method="get", path="/v1/api-tokens", summary="Tokens for this API.", answer=ApiTokenList
    ),
    Operation(
        method="post",
        path="/v1/api-tokens",
        summary="Make a token for this API on TCP.",
        answer=CreatedApiToken,
        status=201,
        body=ApiTokenRequest,
        errors=(400, 413),
    ),
    Operation(
        method="delete",
        path="/v1/api-tokens/{id}",
        summary="Revoke a token for this API.",
        errors=(404,),
    ),
)
