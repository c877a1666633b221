"""TLS over another transport, by OpenSSL through pyOpenSSL: Python's own `ssl` has no keying material exporters.

The exporter is what binds the handshake to this very TLS connection, so that a relay which ends TLS gets nothing.
"""

import asyncio
import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509

from openmesh_sdk.errors import Closed, HandshakeFailed, Unreachable
from openmesh_sdk.wire.handshake import EXPORTER_BYTES, EXPORTER_LABEL

if TYPE_CHECKING:
    from openmesh_sdk.connection.transport import Transport

try:
    from OpenSSL import SSL
except ImportError:
    SSL = None  # type: ignore[assignment]

_RECORD_BYTES = 64 * 1024
_MISSING = (
    "a connection over TLS needs pyOpenSSL, since Python's own ssl module cannot export what binds the handshake "
    "to it: pip install 'openmesh-sdk[tls]'"
)


class TlsTransport:
    """TLS 1.3 on top of another transport."""

    def __init__(self, below: "Transport", connection: Any) -> None:  # noqa: ANN401
        self._below = below
        self._connection = connection
        self._writing = asyncio.Lock()
        self.exporter = b""

    @classmethod
    async def open(cls, below: "Transport", host: str, alpn: bytes, ca_file: str | Path | None) -> "TlsTransport":
        """Shake hands; the certificate must be for `host` and lead to `ca_file` or the system's authorities."""
        if SSL is None:
            raise Unreachable(_MISSING)
        connection = SSL.Connection(_context(ca_file, alpn), None)
        if _address(host) is None:
            connection.set_tlsext_host_name(host.encode("idna"))
        connection.set_connect_state()
        transport = cls(below, connection)
        try:
            await transport._shake_hands()
        except SSL.Error as why:
            raise HandshakeFailed(f"TLS with {host} failed: {_reason(why)}") from why
        _check_host(connection.get_peer_certificate(as_cryptography=True), host)
        transport.exporter = connection.export_keying_material(EXPORTER_LABEL, EXPORTER_BYTES, b"")
        return transport

    async def read(self) -> bytes:
        """Return some bytes; none at the end."""
        while True:
            try:
                plain = self._connection.recv(_RECORD_BYTES)
            except SSL.WantReadError:
                if not await self._feed():
                    return b""
                continue
            except SSL.ZeroReturnError:
                return b""
            except SSL.Error as why:
                raise Closed(f"the connection is gone (TLS: {_reason(why)})") from why
            return bytes(plain)

    async def write(self, chunk: bytes) -> None:
        """Hand bytes over."""
        view = memoryview(chunk)
        try:
            while view:
                view = view[self._connection.send(view[:_RECORD_BYTES]) :]
        except SSL.Error as why:
            raise Closed(f"the connection is gone (TLS: {_reason(why)})") from why
        await self._flush()

    async def finish(self) -> None:
        """Say that nothing follows."""
        try:
            self._connection.shutdown()
            await self._flush()
        except (SSL.Error, Closed):
            return

    async def close(self) -> None:
        """End the channel."""
        await self._below.close()

    async def _shake_hands(self) -> None:
        while True:
            try:
                self._connection.do_handshake()
            except SSL.WantReadError:
                await self._flush()
                if not await self._feed():
                    raise HandshakeFailed("the node ended the TLS handshake") from None
            else:
                await self._flush()
                return

    async def _feed(self) -> bool:
        await self._flush()
        sealed = await self._below.read()
        if sealed:
            self._connection.bio_write(sealed)
        return bool(sealed)

    async def _flush(self) -> None:
        # Two tasks write: records must leave in the order they were made.
        async with self._writing:
            while sealed := self._pending():
                await self._below.write(sealed)

    def _pending(self) -> bytes:
        try:
            return bytes(self._connection.bio_read(_RECORD_BYTES))
        except SSL.WantReadError:
            return b""


def _context(ca_file: str | Path | None, alpn: bytes) -> Any:  # noqa: ANN401
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_verify(SSL.VERIFY_PEER)
    context.set_alpn_protos([alpn])
    if ca_file is None:
        context.set_default_verify_paths()
    else:
        try:
            context.load_verify_locations(str(ca_file))
        except SSL.Error as why:
            raise Unreachable(f"{ca_file} holds no certificate authority in PEM form") from why
    return context


def _check_host(certificate: x509.Certificate | None, host: str) -> None:
    """The chain was checked by OpenSSL; that the certificate is for this host is checked here."""
    if certificate is None:
        raise HandshakeFailed("the node showed no TLS certificate")
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise HandshakeFailed("the node's TLS certificate names no host") from None
    address = _address(host)
    fits = (
        address in names.get_values_for_type(x509.IPAddress)
        if address
        else any(_is_for(name, host) for name in names.get_values_for_type(x509.DNSName))
    )
    if not fits:
        raise HandshakeFailed(f"the node's TLS certificate is not for {host}")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_for(name: str, host: str) -> bool:
    """RFC 9525: a wildcard stands for the whole first label."""
    name, host = name.lower(), host.lower().rstrip(".")
    first, _, rest = host.partition(".")
    return name == host or (bool(first and rest) and name == f"*.{rest}")


def _reason(why: Exception) -> str:
    return "; ".join(str(one[-1]) for one in why.args[0]) if why.args and why.args[0] else type(why).__name__
