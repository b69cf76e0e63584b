"""Server-sent events (WHATWG HTML §9.2.6), decoded as the bytes arrive."""

from .failure import bad_response

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Decoder:
    """Takes bytes as they come, gives the data of events. Memory is bounded by the largest event and piece."""

    def __init__(self, event_bytes_max):
        self._max = event_bytes_max
        self._rest = b""
        self._after_cr = False
        self._begun = False
        self._data = []
        self._bytes = 0

    def feed(self, piece):
        """Add the next bytes; gives the data of each event that is now complete, as bytes."""
        if self._after_cr and piece:
            self._after_cr = False
            if piece.startswith(b"\n"):
                piece = piece[1:]
        joined = self._rest + piece
        # A CR at the end is a line's end already; the LF that may follow is dropped above.
        self._after_cr = joined.endswith(b"\r") and bool(piece)
        lines = joined.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop()
        self._check(len(self._rest))
        events = []
        for line in lines:
            self._take(line, events)
        return events

    def _take(self, line, events):
        if not self._begun:
            self._begun = True
            line = line.removeprefix(BYTE_ORDER_MARK)
        if not line:
            if self._data:
                events.append(b"\n".join(self._data))
            self._data = []
            self._bytes = 0
            return
        field, _, value = line.partition(b":")
        if field == b"data":
            self._check(len(line))
            self._data.append(value.removeprefix(b" "))
            self._bytes += len(line)

    def _check(self, more):
        if self._bytes + more > self._max:
            raise bad_response("the provider sent an event larger than this call may take")
