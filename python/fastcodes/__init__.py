"""Compact binary codes: search, compare and pack them where they lie, as plain numpy arrays.

=================  =====================================================================================
`fastcodes.bits`    pack and unpack bits and small integers, count bits
=================  =====================================================================================
"""

from fastcodes import _native

__version__: str = _native.version()
