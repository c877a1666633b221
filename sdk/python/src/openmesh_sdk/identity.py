"""Keys of agents: making one, and keeping it in a file that only its owner can read."""

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from openmesh_sdk.errors import KeyFileError, Malformed
from openmesh_sdk.wire import ed25519, handshake, proof
from openmesh_sdk.wire.digest import Digest, base64url, unbase64url
from openmesh_sdk.words.ids import AgentId

_FAMILY = "openmesh-ed25519-seed-"
_PREFIX = f"{_FAMILY}v1:"
_MODE = 0o600
_FOREIGN_BITS = 0o077
_PERMISSION_BITS = 0o7777
_FILE_BYTES_MAX = 256


class Identity:
    """An agent's key pair. Its files are the ones that `openmesh agent new` makes."""

    __slots__ = ("_key", "id")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != ed25519.KEY_BYTES:
            raise Malformed("a seed has 32 bytes")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.id = AgentId.of_key(self._key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        """Show the id alone."""
        return f"Identity({self.id})"

    @classmethod
    def create(cls) -> "Identity":
        """Draw a key pair at random."""
        return cls(os.urandom(ed25519.KEY_BYTES))

    @classmethod
    def load(cls, path: str | Path) -> "Identity":
        """Read a key pair; a file that others than its owner can read is refused."""
        return cls(_read_seed(Path(path)))

    @classmethod
    def load_or_create(cls, path: str | Path) -> "Identity":
        """Read a key pair, or make one and save it if there is no such file."""
        if Path(path).exists():
            return cls.load(path)
        identity = cls.create()
        identity.save(path)
        return identity

    def save(self, path: str | Path) -> None:
        """Write the key pair to a file of mode 0600 that does not exist yet."""
        line = f"{_PREFIX}{base64url(self._key.private_bytes_raw())}\n"
        try:
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        except FileExistsError:
            raise KeyFileError(f"the key file {path}: it exists and is never overwritten") from None
        except OSError as why:
            raise KeyFileError(f"the key file {path}: it cannot be made: {why}") from why
        with os.fdopen(opened, "w") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def sign(self, digest: Digest) -> proof.Proof:
        """Sign one message."""
        return proof.sign_one(self._key, self.id, digest)

    def sign_batch(self, digests: list[Digest]) -> list[proof.Proof]:
        """Sign messages with one signature for each 256."""
        return proof.sign_batch(self._key, self.id, digests)

    def prove(self, said: bytes, answer: handshake.SignedServerHello, exporter: bytes) -> bytes:
        """Prove the key to a node whose answer was checked."""
        return handshake.client_auth(self._key, said, answer, exporter)


def _read_seed(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & _FOREIGN_BITS:
                why = (
                    f"others can read or change it (mode {mode & _PERMISSION_BITS:04o}): "
                    "`chmod 600` it, and consider the key known"
                )
                raise KeyFileError(f"the key file {path}: {why}")
            text = file.read(_FILE_BYTES_MAX).decode("ascii", "replace").rstrip()
    except FileNotFoundError:
        why = "there is no such file; make a key with `openmesh agent new` or `Identity.create()`"
        raise KeyFileError(f"the key file {path}: {why}") from None
    except OSError as why:
        raise KeyFileError(f"the key file {path}: it cannot be read: {why}") from why
    return _seed_of(text, path)


def _seed_of(text: str, path: Path) -> bytes:
    if not text.startswith(_PREFIX):
        newer = text.startswith(_FAMILY)
        why = (
            "it was written by a newer version; update this program"
            if newer
            else f"it holds no key; its one line begins {_PREFIX}"
        )
        raise KeyFileError(f"the key file {path}: {why}")
    try:
        seed = unbase64url(text.removeprefix(_PREFIX))
    except Malformed:
        seed = b""
    if len(seed) != ed25519.KEY_BYTES:
        raise KeyFileError(f"the key file {path}: its seed is not 32 bytes in base64url")
    return seed
