"""Ed25519 as the mesh wants it: strict. Neither the key nor R may be a point of small order."""

from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_BYTES = 32
SIGNATURE_BYTES = 64

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
_KEYS_REMEMBERED = 4096


def sign(key: Ed25519PrivateKey, context: str, message: bytes) -> bytes:
    """Sign for one use: Sign(key; context; message) of the pages in `spec/`."""
    return key.sign(context.encode() + b"\0" + message)


def verifies(public_key: bytes, context: str, message: bytes, signature: bytes) -> bool:
    """Tell whether a signature holds, strictly."""
    if len(signature) != SIGNATURE_BYTES or not is_usable(public_key) or _is_small(signature[:KEY_BYTES]):
        return False
    try:
        _public(public_key).verify(signature, context.encode() + b"\0" + message)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=_KEYS_REMEMBERED)
def is_usable(public_key: bytes) -> bool:
    """Tell whether bytes are a point of the curve that is not of small order."""
    return len(public_key) == KEY_BYTES and not _is_small(public_key) and _is_point(public_key)


@lru_cache(maxsize=_KEYS_REMEMBERED)
def _public(public_key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public_key)


def _y_of(encoded: bytes) -> int:
    return (int.from_bytes(encoded, "little") & ((1 << 255) - 1)) % _P


def _is_small(encoded: bytes) -> bool:
    """Orders 1, 2 and 4 have y = ±1 or 0; at order 8, doubling gives y = 0: d·y⁴ + 2·y² = 1."""
    y = _y_of(encoded)
    square = y * y % _P
    return y in (0, 1, _P - 1) or (_D * square * square + 2 * square - 1) % _P == 0


def _is_point(encoded: bytes) -> bool:
    """RFC 8032, 5.1.3: x² = (y² - 1) / (d·y² + 1) must have a root."""
    y = _y_of(encoded)
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    return any((root * root - square) % _P == 0 for root in (x, x * _ROOT_OF_MINUS_ONE % _P))
