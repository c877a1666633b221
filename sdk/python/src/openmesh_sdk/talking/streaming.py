"""Streams: items from one agent to another, in order, without gaps or repeats, as fast as the reader takes them."""

from collections import OrderedDict
from typing import Unpack

from openmesh_sdk.drafting import Options
from openmesh_sdk.errors import Malformed, StreamTaken
from openmesh_sdk.message import Message
from openmesh_sdk.session import Session
from openmesh_sdk.talking.messaging import Messaging
from openmesh_sdk.talking.stream_reader import WINDOW_BYTES, StreamReader
from openmesh_sdk.talking.stream_writer import StreamWriter

_KNOWN_MAX = 1024


class KnownStreams:
    """The streams that a handle has read, so that one offered again goes on where it was left."""

    def __init__(self) -> None:
        self._readers: OrderedDict[tuple[str, str], StreamReader] = OrderedDict()

    def read(self, session: Session, offer: Message, window: int, place: int | None) -> StreamReader:
        """Begin to read a stream that nobody reads."""
        key = (str(offer.sender), offer.id)
        before = self._readers.get(key)
        if before is not None and before.is_open:
            raise StreamTaken("the stream is being read already: its offer came again since the node restarted")
        start = (before.place if before else 0) if place is None else place
        reader = self._readers[key] = StreamReader(session, offer, window, start)
        if len(self._readers) > _KNOWN_MAX:
            self._readers.popitem(last=False)
        return reader


class Streaming(Messaging):
    """Streams, offered and read."""

    _known_streams: KnownStreams | None = None

    async def open_stream(
        self,
        to: str,
        payload: object = None,
        *,
        items: str = "text/plain",
        act: str = "inform",
        **options: Unpack[Options],
    ) -> StreamWriter:
        """Offer a stream to an agent; `items` is the media type of its items.

        The offer is a message like any other. Nothing is written until its receiver reads it (`read_stream`).
        """
        await self._pin(options)
        options["extensions"] = {**options.get("extensions", {}), "stream": items}
        return await StreamWriter(self, self.compose(to, payload, act=act, **options)).begin()

    def read_stream(self, offer: Message, *, window: int = WINDOW_BYTES, place: int | None = None) -> StreamReader:
        """Read the stream that a message offers.

        `window` is how many bytes of items may be on their way, in the node and unread here: 64 KiB to 4 MiB. `place`
        is where to go on, as `StreamReader.place` said; where this handle left off if not given.
        """
        if "stream" not in offer.attributes:
            raise Malformed("the message offers no stream")
        self._known_streams = self._known_streams or KnownStreams()
        return self._known_streams.read(self, offer, window, place)
