"""What `openmesh up` and `openmesh agent` keep on this machine: where the node is, its domain, keys of agents."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from openmesh_sdk.errors import Unreachable
from openmesh_sdk.identity import Identity
from openmesh_sdk.words.addresses import check_agent_name
from openmesh_sdk.words.ids import DomainId

HOME_VARIABLE = "OPENMESH_HOME"


@dataclass(frozen=True, slots=True)
class LocalNode:
    """The node that runs on this machine."""

    address: str
    """Of the native listener: `127.0.0.1:7400`."""
    http: str | None
    """Of the HTTP listener; None if it has none."""
    domain: DomainId
    is_tls: bool
    """Whether both speak TLS."""
    ca_file: Path | None
    """The authority to trust, `ca_file=` of `Mesh.connect`; None for the system's."""
    folder: Path
    """The node's folder."""

    @classmethod
    def find(cls, folder: str | Path | None = None) -> "LocalNode":
        """Find the node by what it wrote into its folder; without one, into the user's."""
        where = home() / "node" if folder is None else Path(folder)
        try:
            endpoint = json.loads((where / "endpoint.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as why:
            raise Unreachable(f"no node runs from {where} ({why}): start one with `openmesh up`") from why
        tls = endpoint.get("tls")
        authority = tls.get("ca") if tls else None
        return cls(
            address=endpoint["address"],
            http=endpoint.get("http"),
            domain=DomainId(endpoint["domain"]),
            is_tls=tls is not None,
            ca_file=None if authority is None else Path(authority),
            folder=where,
        )

    @property
    def url(self) -> str:
        """Where to connect: the socket of the HTTP listener if there is one, else the native listener."""
        return self.socket_url if self.http else self.native_url

    @property
    def native_url(self) -> str:
        """Where to connect to the native listener."""
        return f"{'tls' if self.is_tls else 'tcp'}://{self.address}"

    @property
    def socket_url(self) -> str:
        """Where to connect to the socket of the HTTP listener."""
        if self.http is None:
            raise Unreachable("the node has no HTTP listener")
        return f"{'wss' if self.is_tls else 'ws'}://{self.http}"

    @property
    def admin_token(self) -> str:
        """What lends the standing of an administrator to one command, such as registering."""
        return (self.folder / "admin.token").read_text(encoding="utf-8").strip()


def home() -> Path:
    """Tell the user's folder, as the command line does: `$OPENMESH_HOME`, else `~/.openmesh`."""
    given = os.environ.get(HOME_VARIABLE)
    return Path(given) if given else Path.home() / ".openmesh"


def agent_identity(name: str) -> Identity:
    """Load the key of an agent that `openmesh agent new` made, or make it."""
    folder = home() / "agents"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Identity.load_or_create(folder / f"{check_agent_name(name)}.key")
