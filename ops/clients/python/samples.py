"""Media that decoders accept, made here so that the suite carries no files."""

import base64
import math
import struct
import zlib


def png(width: int = 8, height: int = 8) -> bytes:
    """A grey picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = (b"\0" + b"\x80" * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def data_url(picture: bytes) -> str:
    """The picture as a `data:` URL (RFC 2397)."""
    return "data:image/png;base64," + base64.b64encode(picture).decode()


def wav(seconds: float = 0.1, rate: int = 8000) -> bytes:
    """A tone of 440 Hz."""
    count = int(seconds * rate)
    tone = b"".join(struct.pack("<h", int(8000 * math.sin(2 * math.pi * 440 * i / rate))) for i in range(count))
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16)
    data = struct.pack("<4sI", b"data", len(tone)) + tone
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data


def png_size(picture: bytes) -> tuple[int, int]:
    """Width and height as the picture's header tells them."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n"), picture[:16]
    width, height = struct.unpack(">II", picture[16:24])
    return width, height
