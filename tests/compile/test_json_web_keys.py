import pytest

from clew.compile.json_web_keys import has_usable_key

RSA = '{"kty": "RSA", "n": "qLUAdZTGK05e", "e": "AQAB"%s}'
POINT = "A" * 43


@pytest.mark.parametrize(
    ("keys", "usable"),
    [
        ("", False),
        (RSA % "", True),
        (RSA % ', "alg": "RS256"', True),
        (RSA % ', "alg": "ES256"', False),
        ('{"kty": "RSA", "n": "not base64!", "e": "AQAB"}', False),
        (f'{{"kty": "EC", "crv": "P-256", "x": "{POINT}", "y": "{POINT}"}}', True),
        (f'{{"kty": "EC", "crv": "P-384", "x": "{POINT}", "y": "{POINT}"}}', False),
        (f'{{"kty": "OKP", "crv": "Ed25519", "x": "{POINT}"}}', True),
        ('{"kty": "oct", "k": "c2VjcmV0"}', True),
        ('{"kty": "unknown"}, ' + RSA % "", True),
    ],
)
def test_a_set_is_usable_if_one_of_its_keys_is(keys: str, usable: bool) -> None:
    assert has_usable_key(f'{{"keys": [{keys}]}}') is usable


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}", '{"keys": 1}', '{"keys": [1]}'])
def test_what_is_no_key_set_is_not_usable(text: str) -> None:
    assert not has_usable_key(text)
