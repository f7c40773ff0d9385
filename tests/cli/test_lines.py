"""Lines of texts in all encodings and compressions, from files and pipes, read once and twice."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastcodes.cli import lines
from fastcodes.cli.lines import Lines
from fastcodes.cli.terminal import UserError

TEXT = "".join(f"line {i} naïve 日本 😀\n" for i in range(3_000)) + "\n\r\nthe last\x0b\x85one"
UTF8 = TEXT.encode()
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs pipes with names")


def read_twice(name: str, encoding: str | None = None) -> bytes:
    """Return the lines after checking that they are the same the second time."""
    with Lines(name, encoding, twice=True) as source:
        first = [batch.lines for batch in source.read("reading")]
        assert [batch.lines for batch in source.read("writing")] == first
    with Lines(name, encoding, twice=False) as source:
        assert [batch.lines for batch in source.read("reading")] == first
    joined = [line for batch in first for line in batch]
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in joined[:-1])
    return b"".join(joined)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(lines, "BYTES_PER_BATCH", 5_000)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"x", b"\n\nx\r\n", b"\xff\n", b"a text with a NUL\n" * 5 + b"\x00\n", UTF8],
    ids=len,
)
def test_utf8_is_read_byte_for_byte(content: bytes) -> None:
    Path("file").write_bytes(content)
    assert read_twice("file") == content


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("order", ["le", "be"])
def test_a_byte_order_mark_names_the_encoding(encoding: str, order: str) -> None:
    Path("file").write_bytes(f"\ufeff{TEXT}".encode(f"{encoding}-{order}"))
    assert read_twice("file") == UTF8
    assert read_twice("file", encoding) == UTF8


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", ["plain words\n" * 5, TEXT, "日本語の文章です。 次の行\n" * 50, "ab"])
def test_an_encoding_without_mark_is_an_error_that_names_it(encoding: str, text: str) -> None:
    Path("file").write_bytes(text.encode(encoding))
    with pytest.raises(UserError, match=f"file: looks like {encoding.upper()} .* --encoding {encoding}$"):
        read_twice("file")
    assert read_twice("file", encoding) == text.encode()


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "shift_jis", "koi8-r"])
def test_other_encodings_are_given(encoding: str) -> None:
    text = {"shift_jis": "日本\n語", "koi8-r": "\u0442\u0435\n\u0434\u0430"}.get(encoding, "naïve\ncafé")
    Path("file").write_bytes(text.encode(encoding))
    assert read_twice("file", encoding) == text.encode()
    assert read_twice("file") == text.encode(encoding)  # bad lines, which are kept
    assert read_twice("file", "utf8") == text.encode(encoding)


@pytest.mark.parametrize(
    ("encoding", "content", "words"),
    [
        ("utf-16-le", "a line\n".encode("utf-16-le")[:-1], "not valid UTF-16-LE: truncated data"),
        ("utf-32-le", b"\x00\x00\x11\x00" * 2, "not valid UTF-32-LE: code point not in range"),
        ("utf-16", b"a\0\n\0", "UTF-16 stream does not start with BOM"),
        ("ascii", b"caf\xe9", "not valid ASCII: ordinal not in range"),
    ],
)
def test_text_that_is_not_in_its_encoding_is_an_error(encoding: str, content: bytes, words: str) -> None:
    Path("file").write_bytes(content)
    with pytest.raises(UserError, match=f"^file: {words}.*; --encoding names"):
        read_twice("file", encoding)


def test_half_a_surrogate_pair_makes_a_bad_line() -> None:
    Path("file").write_bytes("ok\n\ud800\nok".encode("utf-16", "surrogatepass"))
    assert read_twice("file") == b"ok\n\xed\xa0\x80\nok"


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("name", COMPRESSIONS)
@pytest.mark.parametrize("content", [b"", UTF8, TEXT.encode("utf-16")], ids=["empty", "UTF-8", "UTF-16"])
def test_compressed_lines_are_read(name: str, content: bytes) -> None:
    compress = COMPRESSIONS[name]
    half = len(content) // 2
    expected = UTF8 if content else b""
    for packed in (compress(content), compress(content[:half]) + compress(content[half:])):
        Path("file").write_bytes(packed)
        assert read_twice("file") == expected
    for length in (len(packed) - 1, len(packed) // 2, 12):
        Path("file").write_bytes(packed[:length])
        if content:
            with pytest.raises(UserError, match=r"^file: damaged or cut short: "):
                read_twice("file")
    if content:
        place = len(packed) // 2
        Path("file").write_bytes(packed[:place] + bytes(20) + packed[place + 20 :])
        with pytest.raises(UserError, match=r"^file: (damaged or cut short: |not valid UTF-16)"):
            read_twice("file")


class FakeZstandard:
    """The interface of the package zstandard, over the format of bzip2."""

    def __init__(self) -> None:
        self.eof, self.unused_data = False, b""
        self._one = bz2.BZ2Decompressor()

    def decompressobj(self) -> "FakeZstandard":
        """Return an object that decompresses one frame."""
        return self

    def decompress(self, data: bytes) -> bytes:
        """Return what a piece of the frame holds."""
        found = self._one.decompress(data)
        self.eof, self.unused_data = self._one.eof, self._one.unused_data
        return found


def test_all_frames_of_zstd_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(ZstdDecompressor=FakeZstandard)
    whole = bz2.compress(UTF8[:20_000]) + bz2.compress(UTF8[20_000:])
    assert b"".join(lines._frames(io.BytesIO(whole), module)) == UTF8
    for length in (len(whole) - 1, 100):
        with pytest.raises(EOFError):
            b"".join(lines._frames(io.BytesIO(whole[:length]), module))


def test_zstd_is_read_or_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    Path("file").write_bytes(b"\x28\xb5\x2f\xfd....")
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "zstandard", None)
        with pytest.raises(UserError, match=r"file: compressed by zstd.*zstandard.*zstd -dc file"):
            read_twice("file")
    zstandard = pytest.importorskip("zstandard")
    frame = zstandard.ZstdCompressor().compress
    Path("file").write_bytes(frame(UTF8[:20_000]) + frame(UTF8[20_000:]))
    assert read_twice("file") == UTF8


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(gzip.compress(UTF8)), "compressed twice"),
        (b"PK\x03\x04....", "a zip archive; unpack it first: unzip -p file | fastcodes dedup -"),
        (b"7z\xbc\xaf\x27\x1c", "7z archive"),
        (b"\x04\x22\x4d\x18...", "lz4"),
        (bytes(257) + b"ustar\0" + bytes(300), "a tar archive"),
        (gzip.compress(bytes(257) + b"ustar  \0" + bytes(300)), "a tar archive"),
        (bytes(1000), "binary data"),
        (b"PAR1\x15\x04\x15\xff\x00" + bytes(range(256)), "a Parquet file; its name must end in .parquet"),
        (b"\x93NUMPY\x01\x00v\x00{'descr': '<f8'}".ljust(128) + os.urandom(1000), "binary data"),
    ],
    ids=["gzip twice", "zip", "7z", "lz4", "tar", "tar in gzip", "zeros", "parquet", "npy"],
)
def test_what_is_no_text_is_refused(content: bytes, words: str) -> None:
    Path("file").write_bytes(content)
    with pytest.raises(UserError, match=f"^file: .*{words}"):
        read_twice("file")


def test_a_line_without_end_does_not_exhaust_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_BYTES_PER_LINE", 1 << 20)
    Path("file").write_bytes(b"one\n" + b"x" * (1 << 20))
    with pytest.raises(UserError, match="file: line 2 has more than 1 MiB"):
        read_twice("file")


# --- pipes and changes --------------------------------------------------------------------------------------


@pytest.fixture
def fifo() -> Iterator[str]:
    """Return a pipe that a thread fills with the text, once."""
    os.mkfifo("fifo")
    writer = threading.Thread(target=Path("fifo").write_bytes, args=(UTF8,))
    writer.start()
    yield "fifo"
    writer.join()


@POSIX
@pytest.mark.parametrize("twice", [False, True])
def test_a_pipe_is_read_once(fifo: str, twice: bool) -> None:
    with Lines(fifo, None, twice=twice) as source:
        for _ in range(1 + twice):
            read = [line for batch in source.read("reading") for line in batch.lines]
            assert b"".join(read) == UTF8


@POSIX
@pytest.mark.parametrize(
    "source",
    [
        "dedup /dev/stdin < texts.txt",
        "dedup - < texts.txt",
        "dedup /dev/fd/3 3< texts.txt",
        "dedup fifo & cat texts.txt > fifo; wait",
        "dedup <(cat texts.txt)",
        "dedup <(gzip -c texts.txt)",
        "cat | dedup -",
        "cat | dedup /dev/stdin",
        "cat | dedup /proc/self/fd/0",
        "cat | dedup - -o kept",
        "cat | dedup - -o >(cat > kept)",
        '(read first; echo "$first"; dedup -) < texts.txt',
    ],
)
def test_keep_first_keeps_all_lines_of_pipes(source: str) -> None:
    texts = [f"line {i} of many words {i % 7}{i}" for i in range(200)]
    Path("texts.txt").write_text("\n".join([*texts, *texts[50:90]]) + "\n")
    os.mkfifo("fifo")
    source = source.replace("cat |", "cat texts.txt |")
    script = f'dedup() {{ {sys.executable} -m fastcodes dedup "$@" --keep-first; }}; {source}; wait'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    kept = done.stdout if "kept" not in source else Path("kept").read_text()
    assert kept.splitlines() == texts
    assert not list(Path().glob("*.part")) + list(Path().glob(".fastcodes*"))


def test_a_place_within_a_file_is_its_start() -> None:
    Path("file").write_bytes(UTF8)
    descriptor = os.open("file", os.O_RDONLY)
    os.lseek(descriptor, 100, os.SEEK_SET)
    with Lines(f"/dev/fd/{descriptor}", None, twice=True) as source:
        for _ in range(2):
            read = [line for batch in source.read("reading") for line in batch.lines]
            assert b"".join(read) == UTF8[100:]
    os.close(descriptor)


@pytest.mark.parametrize("change", ["longer", "shorter", "other", "touched"])
@pytest.mark.parametrize("when", ["before", "within"])
def test_a_file_that_changes_between_its_readings_is_an_error(change: str, when: str) -> None:
    Path("file").write_bytes(UTF8)
    with Lines("file", None, twice=True) as source:
        list(source.read("reading"))
        reading = source.read("writing")
        if when == "within":
            next(reading)
        content = {"longer": UTF8 + b"\nmore\nlines", "shorter": UTF8[:-20], "other": UTF8[:-3] + b"two"}
        Path("file").write_bytes(content.get(change, UTF8))
        os.utime("file", ns=(1, 1))
        if (when, change) == ("within", "touched"):
            list(reading)
            return
        with pytest.raises(UserError, match=r"^file: changed while it was read; .*cat file \|"):
            list(reading)


@pytest.mark.parametrize("change", ["longer", "other"])
def test_nothing_is_written_of_a_file_that_changes(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastcodes import cli
    from fastcodes.index import MinHashIndex

    Path("file").write_bytes(UTF8)
    groups = MinHashIndex.groups

    def changing(index: MinHashIndex, **options: object) -> object:
        Path("file").write_bytes(UTF8 + b"x" if change == "longer" else UTF8[:-1] + b"x")
        os.utime("file", ns=(1, 1))
        return groups(index, **options)

    monkeypatch.setattr(MinHashIndex, "groups", changing)
    assert cli.main(["dedup", "file", "--keep-first", "-o", "kept"]) == 2
    assert os.listdir() == ["file"]


@POSIX
def test_a_full_temporary_folder_is_one_line(fifo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    full = open("/dev/full", "r+b")  # noqa: SIM115
    monkeypatch.setattr(lines.tempfile, "TemporaryFile", lambda: full)
    with pytest.raises(
        UserError, match=r"fifo: cannot be copied to a temporary file: No space left .*TMPDIR"
    ):
        Lines(fifo, None, twice=True)


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".GZ", ".txt", ""])
def test_outputs_are_compressed_by_their_name(ending: str) -> None:
    with open("file", "wb") as file, lines.compressing(file, f"name{ending}") as output:
        output.write(UTF8)
    content = Path("file").read_bytes()
    assert (content == UTF8) == (ending in (".txt", ""))
    assert read_twice("file") == UTF8
