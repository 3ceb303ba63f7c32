"""How much memory packed data may take: a small file must not unpack to more than a machine has.

deflate packs 1032 to 1 at best. Real data are far from it: the images of MNIST pack 5 to 1.
"""

from __future__ import annotations

MOST_UNPACKED = 100  # times the size of the packed data,
ALWAYS_UNPACKED = 2**24  # and so many bytes in any case


def most_unpacked(packed: int) -> int:
    """The bytes that so many packed ones may become."""
    return max(ALWAYS_UNPACKED, MOST_UNPACKED * packed)


def unpack(packed: bytes) -> bytes:
    """Unpacks gzip, as far as `most_unpacked` allows.

    Raises
    ------
    ValueError, OSError, EOFError, zlib.error
        If there is more, or the data are damaged.
    """
    import gzip
    import io

    most = most_unpacked(len(packed))
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(
            f"its {len(packed)} bytes are packed more than {MOST_UNPACKED} to 1; unpack it before, by hand"
        )
    return data
