"""The command `fastcodes dedup`: groups, kept lines, bad lines, and the one line for each wrong call."""

import csv
import gzip
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fastcodes import cli
from fastcodes.cli import lines as reading
from fastcodes.cli import records, tables

GENERATOR = np.random.default_rng(0)
FOX = "the quick brown fox jumps over the lazy dog"
LINES = [
    FOX.encode(),
    b"a line about something else entirely",
    b"",
    FOX.upper().encode() + b"!",
    b"\xff\xfe not a text",
    b"one more line that stands alone here",
    b"   ,.;",
    b"A line about - something else, entirely.",
    FOX.encode() + b"\r",
]


def groups_in(text: str) -> list[list[int]]:
    return [json.loads(line)["lines"] for line in text.splitlines()]


def write_lines(name: str, lines: list[bytes], end: bytes = b"\n") -> None:
    Path(name).write_bytes(b"\n".join(lines) + end)


def test_dedup_writes_groups_and_reports_bad_lines(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_lines("texts.txt", LINES)
    assert cli.main(["dedup", "texts.txt"]) == 0
    captured = capfd.readouterr()
    assert groups_in(captured.out) == [[1, 4, 9], [2, 8]]
    assert json.loads(captured.out.splitlines()[0]) == {"lines": [1, 4, 9], "similarity": [1.0, 1.0, 1.0]}
    bad, summary = captured.err.splitlines()
    assert bad == "fastcodes: texts.txt:5: not valid UTF-8: invalid start byte at byte 1 (see --encoding)"
    assert "9 lines, 3 of them near-duplicates of an earlier one, in 2 groups" in summary
    assert "1 bad lines and 2 without words" in summary


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_keep_first_loses_nothing_but_copies(
    folder: Path, end: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    write_lines("texts.txt", LINES, end)
    assert cli.main(["dedup", "texts.txt", "--keep-first", "-o", "kept.txt"]) == 0
    kept = [LINES[place] for place in (0, 1, 2, 4, 5, 6)]
    assert Path("kept.txt").read_bytes() == b"\n".join(kept) + b"\n"
    assert not capfd.readouterr().out
    assert cli.main(["dedup", "texts.txt", "--keep-first"]) == 0
    assert capfd.readouterr().out.count("\n") == 6
    assert cli.main(["dedup", "kept.txt", "-o", "none.jsonl"]) == 0
    assert Path("none.jsonl").read_bytes() == b""


RECORDS: list[tuple[bytes, str | None]] = [
    # a line, and the error it gets
    (json.dumps({"text": FOX, "id": 1}).encode(), None),
    (b'{"text": "cut short', "not valid JSON: "),
    (b'["a", "list"]', "a JSON list; expected an object with a field 'text'"),
    (b'{"body": "x"}', "no field 'text'; there are ['body']"),
    (b'{"text": null}', "the field 'text' is a NoneType; expected a string"),
    (b'{"text": "\\ud800"}', "the field 'text' has half of a surrogate pair"),
    (b'{"text": "\xff"}', "not valid UTF-8: "),
    (b"[" * 100_000, "JSON that cannot be read: "),
    (b"", None),
    (json.dumps({"text": FOX.title()}).encode() + b" \r", None),
    (b'{"text": "\\ud83d\\ude00 is fine"}', None),
    (b'{"text": 1' + b"0" * 5000 + b"}", "JSON that cannot be read: "),
]


def test_dedup_of_records_reports_each_bad_record(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_lines("records.jsonl", [line for line, _ in RECORDS])
    assert cli.main(["dedup", "records.jsonl"]) == 0
    captured = capfd.readouterr()
    assert groups_in(captured.out) == [[1, 10]]
    *bad, summary = captured.err.splitlines()
    wanted = [(number, words) for number, (_, words) in enumerate(RECORDS, 1) if words]
    assert len(bad) == len(wanted)
    for line, (number, words) in zip(bad, wanted, strict=True):
        assert line.startswith(f"fastcodes: records.jsonl:{number}: {words}"), line
        assert len(line) < 200
    assert f"{len(RECORDS)} lines, 1 of them" in summary
    assert f"{len(wanted)} bad lines and 1 without words" in summary
    assert cli.main(["dedup", "records.jsonl", "--keep-first", "-o", "kept"]) == 0
    kept = [line for place, (line, _) in enumerate(RECORDS) if place != 9]
    assert Path("kept").read_bytes() == b"\n".join(kept) + b"\n"


def test_dedup_of_another_field_from_stdin(folder: Path) -> None:
    records = "".join(json.dumps({"body": text}) + "\n" for text in (FOX, "other words are here", FOX))
    command = [sys.executable, "-m", "fastcodes", "dedup", "-", "--field", "body"]
    done = subprocess.run(command, input="\ufeff" + records, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0
    assert groups_in(done.stdout) == [[1, 3]]
    assert done.stderr.startswith("-: 3 lines, 1 of them")


def test_dedup_in_many_parts_equals_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = np.array([f"w{i}" for i in range(500)])
    texts = [" ".join(words[GENERATOR.integers(0, 500, 40)]) for _ in range(300)]
    copies = [texts[i] + " more" for i in GENERATOR.integers(0, 300, 100)]
    write_lines("texts.txt", [text.encode() for text in [*texts, *copies]])
    outputs = []
    for size in (reading.BYTES_PER_BATCH, 1000):
        monkeypatch.setattr(reading, "BYTES_PER_BATCH", size)
        assert cli.main(["dedup", "texts.txt", "--threads", "1"]) == 0
        outputs.append(capfd.readouterr().out)
        assert cli.main(["dedup", "texts.txt", "--keep-first", "-o", "kept.txt"]) == 0
        assert Path("kept.txt").read_bytes().splitlines() == [text.encode() for text in texts]
    assert outputs[0] == outputs[1]
    assert sum(len(group) - 1 for group in groups_in(outputs[0])) == 100


def test_dedup_compares_exactly_on_demand(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = [f"w{i}" for i in range(200)]
    # Each change affects three of the 198 shingles: 190 / 206 are shared, and 195 / 201.
    further, nearer = words.copy(), words.copy()
    further[30] = further[60] = nearer[90] = "other"
    further[199] = further[198] = "more"
    texts = [" ".join(part).encode() for part in (words, further, nearer, words)]
    write_lines("texts.txt", [texts[0], b"", *texts[1:], b"\xff"])
    true = [190 / 206, 195 / 201]
    for threshold, lines, similarity in (
        (0.92, [1, 3, 4, 5], [1.0, true[0], true[1], 1.0]),
        (0.923, [1, 4, 5], [1.0, true[1], 1.0]),
        (0.9702, [1, 5], [1.0, 1.0]),
    ):
        # Estimates could not distinguish these: their standard error is 0.03 here.
        command = ["dedup", "texts.txt", "--exact", "--threshold", str(threshold), "--n-hashes", "64"]
        assert cli.main(command) == 0
        (group,) = capfd.readouterr().out.splitlines()
        assert json.loads(group) == {"lines": lines, "similarity": [round(value, 4) for value in similarity]}


def test_dedup_options_change_what_is_alike(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_lines(
        "texts.txt", ["日本語の文章がここにあります。".encode(), "日本語の文章がここにあります?".encode()]
    )
    for options, n_groups in (
        (["--unit", "char", "--shingle-size", "2", "--threshold", "0.7"], 1),
        (["--unit", "char", "--shingle-size", "2", "--threshold", "0.99"], 0),
    ):
        assert cli.main(["dedup", "texts.txt", *options, "--n-hashes", "256"]) == 0
        assert len(groups_in(capfd.readouterr().out)) == n_groups


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.txt"], ["missing.txt", "no such file"]),
        (["."], ["directory"]),
        (["", "-o", "x"], ["'': no such file"]),
        (["texts.txt", "--threshold", "1.5"], ["--threshold: expected a number above 0 and at most 1"]),
        (["texts.txt", "--threshold", "0"], ["--threshold: expected a number above 0 and at most 1"]),
        (["texts.txt", "--threshold", "nan"], ["--threshold", "nan"]),
        (["texts.txt", "--threshold", "high"], ["--threshold", "high"]),
        (["texts.txt", "--n-hashes", "9000"], ["--n-hashes: expected an integer from 1 to 8192"]),
        (["texts.txt", "--shingle-size", "0"], ["--shingle-size", "from 1 to 1024"]),
        (["texts.txt", "--shingle-size", "5000"], ["--shingle-size", "from 1 to 1024", "5000"]),
        (["texts.txt", "--threads", "9" * 5000], ["--threads", "from 1 to 9223372036854775807"]),
        (["texts.txt", "--encoding", "ebcdic-0"], ["--encoding: unknown encoding: ebcdic-0"]),
        (["texts.txt", "--encoding", "hex"], ["--encoding: 'hex' is not a text encoding"]),
        (["texts.txt", "--encoding", "ascii"], ["texts.txt: not valid ASCII", "--encoding"]),
        (["texts.txt", "--id-field", "id", "--keep-first"], ["--id-field", "--keep-first"]),
        (["texts.txt", "--id-field", "id"], ["texts.txt: no text in any line", "not valid JSON"]),
        (["texts.txt", "-o", "."], ["not a regular file"]),
        (["texts.txt", "-o", ""], ["not a regular file"]),
        (["/dev/fd/99"], ["/dev/fd/99: Bad file descriptor"]),
        (["texts.txt", "-o", "/dev/fd/99"], ["/dev/fd/99: Bad file descriptor"]),
        (["texts.txt", "--unit", "line"], ["unit", "line"]),
        (["texts.txt", "-o", "texts.txt"], ["is one of the inputs"]),
        (["texts.txt", "-o", "no/where.jsonl"], ["no", "does not exist"]),
        ([], ["FILE"]),
    ],
    ids=lambda given: " ".join(given)[:60],
)
def test_a_wrong_dedup_is_one_line(
    folder: Path, arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write_lines("texts.txt", LINES)
    before = sorted(folder.iterdir())
    assert cli.main(["dedup", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("fastcodes: ")
    assert captured.err.count("\n") == 1
    for word in words:
        assert re.search(word, captured.err), captured.err
    assert sorted(folder.iterdir()) == before


def test_a_mistyped_field_is_one_line(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_lines("many.jsonl", [b'{"id": %d, "text": "a b c"}' % number for number in range(3_000)])
    assert cli.main(["dedup", "many.jsonl", "--field", "txet", "--keep-first", "-o", "kept"]) == 2
    captured = capfd.readouterr()
    assert captured.err == (
        "fastcodes: many.jsonl: no text in any line: 3,000 of 3,000 are bad; "
        "line 1: no field 'txet'; there are ['id', 'text']\n"
    )
    assert not captured.out
    assert not Path("kept").exists()


@pytest.mark.parametrize("n_bad", [10, 11, 500])
def test_many_bad_lines_are_ten_complaints_and_a_count(
    folder: Path, n_bad: int, capfd: pytest.CaptureFixture[str]
) -> None:
    write_lines("texts.txt", [b"\xff"] * n_bad + [FOX.encode()])
    assert cli.main(["dedup", "texts.txt"]) == 0
    *complaints, summary = capfd.readouterr().err.splitlines()
    expected = [
        f"texts.txt:{number}: not valid UTF-8: invalid start byte at byte 1 (see --encoding)"
        for number in range(1, 11)
    ]
    expected += [f"texts.txt: {n_bad - 10} more bad lines"] * (n_bad > 10)
    assert complaints == [f"fastcodes: {line}" for line in expected]
    assert f"{n_bad} bad lines" in summary


def test_groups_list_the_ids_of_records(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ids = ["a", 7, 2.5, None, True, [1]]
    records = [json.dumps({"text": FOX, "id": name}).encode() for name in ids]
    write_lines("records.jsonl", [*records, b"", json.dumps({"text": FOX}).encode()])
    assert cli.main(["dedup", "records.jsonl", "--id-field", "id"]) == 0
    captured = capfd.readouterr()
    assert [json.loads(line) for line in captured.out.splitlines()] == [
        {"ids": ["a", 7, 2.5], "similarity": [1.0, 1.0, 1.0]}
    ]
    expected = "expected a string or a number"
    assert captured.err.splitlines()[:4] == [
        f"fastcodes: records.jsonl:4: the field 'id' is a NoneType; {expected}",
        f"fastcodes: records.jsonl:5: the field 'id' is a bool; {expected}",
        f"fastcodes: records.jsonl:6: the field 'id' is a list; {expected}",
        "fastcodes: records.jsonl:8: no field 'id'; there are ['text']",
    ]


def test_a_threshold_of_one_finds_equal_sets_only(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = [f"w{number}" for number in range(5_000)]
    # The similarity 0.9994 of the second text is estimated as 1 by most signatures.
    texts = [words, words[:-3], words, words + words]
    write_lines("texts.txt", [" ".join(text).encode() for text in texts])
    options = ["--shingle-size", "1", "--n-hashes", "16"]
    assert cli.main(["dedup", "texts.txt", *options, "--threshold", "0.999"]) == 0
    assert groups_in(capfd.readouterr().out) == [[1, 2, 3, 4]]
    assert cli.main(["dedup", "texts.txt", *options, "--threshold", "1"]) == 0
    assert groups_in(capfd.readouterr().out) == [[1, 3, 4]]


CHINESE = "敏捷的棕色狐狸跳过了懒狗。然后在河边喝水。"


@pytest.mark.parametrize(
    ("texts", "options", "advice"),
    [
        ([CHINESE] * 20, [], "scripts without spaces between words, so --unit char"),
        (["犬が走る。猫も走る。鳥は飛ぶ、魚は泳ぐ。"] * 20, [], "scripts without spaces"),
        ([CHINESE] * 20, ["--unit", "char"], ""),
        (["one name"] * 20, [], "--unit char --shingle-size 5"),
        (["one name"] * 20, ["--shingle-size", "1"], ""),
        ([FOX, CHINESE, "one name", ""], [], ""),
        (["", "!"], [], ""),
        ([json.dumps({"text": FOX})] * 2, [], "JSON objects are compared as plain text; --field"),
        ([json.dumps({"text": FOX})] * 2, ["--field", "text"], ""),
        (["{the quick brown fox jumps}"] * 2, [], ""),
    ],
)
def test_texts_that_should_be_compared_otherwise_get_advice(
    folder: Path, texts: list[str], options: list[str], advice: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write_lines("texts.txt", [text.encode() for text in texts])
    assert cli.main(["dedup", "texts.txt", *options]) == 0
    *found, _ = capfd.readouterr().err.splitlines()
    assert len(found) == bool(advice)
    assert advice in "".join(found)


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_exact_similarities_take_the_documented_memory(folder: Path) -> None:
    n_texts, n_words = 20_000, 200
    words = np.array([f"w{number}" for number in range(9_000)])
    texts = [" ".join(row).encode() for row in words[GENERATOR.integers(0, 9_000, (n_texts // 2, n_words))]]
    write_lines("texts.txt", texts * 2)
    code = (
        "import resource, sys; from fastcodes import cli; cli.main(sys.argv[1:]); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    command = [sys.executable, "-c", code, "dedup", "texts.txt", "-o", "groups", "--threads", "1"]
    plain, exact = (
        1024 * int(subprocess.run([*command, *options], capture_output=True, check=True).stdout)
        for options in ([], ["--exact"])
    )
    # The help says 16 bytes a word; some MiB more do not depend on the number of words.
    assert exact - plain < 16 * n_texts * n_words + (8 << 20)


@pytest.mark.skipif(sys.platform == "win32", reason="closes a pipe")
def test_a_closed_pipe_is_no_error(folder: Path) -> None:
    write_lines("texts.txt", [f"{FOX} {i // 2} {i // 2} {i // 2}".encode() for i in range(20_000)])
    command = f"{sys.executable} -m fastcodes dedup texts.txt --threshold 0.95 | head -n 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


# --- tables -------------------------------------------------------------------------------------------------

ROWS = [
    # a text and an id; those with None, or with fewer columns, are bad
    (FOX, "a"),
    ("a line about, something else\nentirely", "b"),
    ("", "c"),
    (FOX.upper() + "!", "d"),
    ('one more line "that" stands alone here', "e"),
    ("A line about - something else; entirely", "f"),
]
TABLE_FORMS = [".parquet", ".arrow", ".feather", ".stream.arrow"]


def csv_bytes(delimiter: str = ",", end: str = "\n") -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, lineterminator=end).writerows([("text", "id"), *ROWS])
    return file.getvalue().encode()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv.gz"])
def test_rows_of_csv_are_grouped_and_kept(
    folder: Path, delimiter: str, end: str, mark: bytes, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    content = mark + csv_bytes(delimiter, end)
    Path(name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert cli.main(["dedup", name]) == 0
    captured = capfd.readouterr()
    groups = [json.loads(line) for line in captured.out.splitlines()]
    assert [group["rows"] for group in groups] == [[1, 4], [2, 6]]
    assert captured.err.startswith(
        f"{name}: 6 rows, 2 of them near-duplicates of an earlier one, in 2 groups; 0 bad rows and 1 without"
    )
    assert cli.main(["dedup", name, "--id-field", "id"]) == 0
    assert [json.loads(line)["ids"] for line in capfd.readouterr().out.splitlines()] == [
        ["a", "d"],
        ["b", "f"],
    ]
    assert cli.main(["dedup", name, "--keep-first", "-o", "kept.csv"]) == 0
    kept = Path("kept.csv").read_bytes()
    assert kept.startswith(mark)
    with open("kept.csv", encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file, delimiter=delimiter)) == [
            ["text", "id"],
            *(list(ROWS[row]) for row in (0, 1, 2, 4)),
        ]


def test_csv_in_many_parts_equals_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = [(f"the text with number {i % 200}\nand {i % 200} again, as row {i % 200}",) for i in range(300)]
    with open("rows.csv", "w", newline="") as file:
        csv.writer(file).writerows([("text",), *rows])
    outputs = []
    for size in (1 << 23, 500):
        monkeypatch.setattr(reading, "BYTES_PER_BATCH", size)
        monkeypatch.setattr(records, "BYTES_PER_BATCH", size)
        assert cli.main(["dedup", "rows.csv", "--exact", "--threshold", "1"]) == 0
        outputs.append(capfd.readouterr().out)
        assert (
            cli.main(["dedup", "rows.csv", "--threshold", "1", "--keep-first", "-o", f"kept{size}.csv"]) == 0
        )
    assert outputs[0] == outputs[1]
    assert outputs[0].count("\n") == 100
    assert Path("kept500.csv").read_bytes() == Path(f"kept{1 << 23}.csv").read_bytes()
    with open("kept500.csv", newline="") as file:
        assert list(csv.reader(file))[1:] == [list(row) for row in rows[:200]]


def test_bad_rows_of_csv_are_reported_and_kept(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = b"text,id\n\nthe first text of all,1\nonly a text\nof bytes \xff,2\nthe first text of all,3"
    Path("rows.csv").write_bytes(content)
    assert cli.main(["dedup", "rows.csv"]) == 0
    captured = capfd.readouterr()
    assert json.loads(captured.out)["rows"] == [1, 4]
    assert captured.err.splitlines()[:2] == [
        "fastcodes: rows.csv: row 2: has 1 fields; expected 2",
        "fastcodes: rows.csv: row 3: not valid UTF-8: invalid start byte at byte 10 (see --encoding)",
    ]
    assert cli.main(["dedup", "rows.csv", "--keep-first", "-o", "kept.csv"]) == 0
    assert Path("kept.csv").read_bytes() == content[: content.rindex(b"the first")]


@pytest.mark.parametrize(
    ("heading", "row"),
    [
        ('5" disk;size;text', "1;2;"),
        ('5" disk\tsize, in "mm"\ttext', "1\t2\t"),
        ('"a;b",5" disk,text', "1,2,"),
        ('id|"a, ""b"", c, d"|text', "1|2|"),
    ],
)
def test_a_quote_within_a_field_of_the_heading_is_none(
    folder: Path, heading: str, row: str, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("rows.csv").write_text(heading + "\n" + f"{row}{FOX}\n" * 2)
    assert cli.main(["dedup", "rows.csv", "-o", "groups.jsonl"]) == 0
    assert "rows.csv: 2 rows, 1 of them" in capfd.readouterr().err


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
def test_a_delimiter_within_a_quoted_heading_is_none(
    folder: Path, delimiter: str, capfd: pytest.CaptureFixture[str]
) -> None:
    others = "".join(set(";\t|,") - {delimiter}) * 3
    heading = f'"of {others} ""{others}"" all"{delimiter}text\n'
    Path("rows.csv").write_text(heading + "".join(f"{number}{delimiter}{FOX}\n" for number in range(3)))
    assert cli.main(["dedup", "rows.csv"]) == 0
    assert json.loads(capfd.readouterr().out)["rows"] == [1, 2, 3]


def test_csv_from_stdin_needs_its_format(folder: Path) -> None:
    command = [sys.executable, "-m", "fastcodes", "dedup", "-", "--format", "csv", "--field", "text"]
    done = subprocess.run(command, input=csv_bytes(), capture_output=True)
    assert [json.loads(line)["rows"] for line in done.stdout.splitlines()] == [[1, 4], [2, 6]]


@pytest.mark.parametrize("content", [b"", b"text,id\n"])
def test_csv_without_rows_has_no_groups(folder: Path, content: bytes) -> None:
    Path("rows.csv").write_bytes(content)
    assert cli.main(["dedup", "rows.csv", "-o", "groups"]) == 0
    assert Path("groups").read_bytes() == b""
    assert cli.main(["dedup", "rows.csv", "--keep-first", "-o", "kept.csv"]) == 0
    assert Path("kept.csv").read_bytes() == content


def save_table(name: str, columns: dict[str, object]) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="reads tables")
    table = pyarrow.table(columns)
    if name.endswith(".parquet"):
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, name, row_group_size=4)
    elif ".stream" in name:
        import pyarrow.ipc

        with pyarrow.ipc.new_stream(name, table.schema) as stream:
            stream.write_table(table, 4)
    else:
        import pyarrow.feather

        pyarrow.feather.write_feather(table, name, chunksize=4)


@pytest.mark.parametrize("suffix", TABLE_FORMS)
@pytest.mark.parametrize("kind", ["string", "large_string", "dictionary"])
def test_rows_of_tables_are_grouped_and_kept(
    folder: Path, suffix: str, kind: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="reads tables")
    monkeypatch.setattr(tables, "MOST_ROWS", 3)
    texts = pyarrow.array([*(text for text, _ in ROWS), None])
    texts = texts.dictionary_encode() if kind == "dictionary" else texts.cast(getattr(pyarrow, kind)())
    name = f"t{suffix}"
    save_table(name, {"other": [[1, 2]] * 7, "body": texts, "id": [10 * row for row in range(7)]})
    assert cli.main(["dedup", name, "--field", "body"]) == 0
    captured = capfd.readouterr()
    assert [json.loads(line)["rows"] for line in captured.out.splitlines()] == [[1, 4], [2, 6]]
    complaint, summary = captured.err.splitlines()
    assert complaint == f"fastcodes: {name}: row 7: column 'body' has no value"
    assert "7 rows, 2 of them" in summary
    assert cli.main(["dedup", name, "--field", "body", "--id-field", "id"]) == 0
    assert [json.loads(line)["ids"] for line in capfd.readouterr().out.splitlines()] == [[0, 30], [10, 50]]
    assert cli.main(["dedup", name, "--field", "body", "--keep-first", "-o", f"kept{suffix}"]) == 0
    with tables.Table(f"kept{suffix}") as kept, tables.Table(name) as table:
        assert kept.schema.equals(table.schema)
        rows = [row for batch in table.read(None, "") for row in batch.records.to_pylist()]
        found = [row for batch in kept.read(None, "") for row in batch.records.to_pylist()]
        assert found == [rows[row] for row in (0, 1, 2, 4, 6)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rows.csv", "--field", "body"], ["rows.csv: its first row names no column 'body'", "'text', 'id'"]),
        (["rows.csv", "--id-field", "name"], ["names no column 'name'"]),
        (["twice.csv"], ["names 2 columns 'text'"]),
        (["open.csv"], ["open.csv: not valid CSV: "]),
        (["rows.csv", "--format", "text", "--field", "text"], ["--format: text has no fields"]),
        (["t.parquet", "--format", "csv"], ["--format", "omit it for t.parquet"]),
        (["t.parquet", "--encoding", "latin-1"], ["--encoding", "omit it for t.parquet"]),
        (["t.parquet"], ["t.parquet: has no column 'text'; there are body, number"]),
        (["t.parquet", "--field", "number"], ["column 'number' has int64; expected strings"]),
        (["t.parquet", "--field", "body", "--id-field", "list"], ["'list' has list<", "strings or numbers"]),
        (["t.parquet", "--field", "body", "--keep-first"], ["-o must name a file that ends in .parquet"]),
        (["t.parquet", "--field", "body", "--keep-first", "-o", "x.csv"], ["ends in .parquet"]),
        (["rows.csv", "--json"], ["--json", "-o names a file"]),
        (["damaged.parquet"], ["damaged.parquet: damaged, or not a file of Parquet"]),
    ],
    ids=lambda given: " ".join(given)[:60],
)
def test_a_wrong_dedup_of_rows_is_one_line(
    folder: Path,
    arguments: list[str],
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(records, "MAX_BYTES_PER_LINE", 1000)
    Path("rows.csv").write_bytes(csv_bytes())
    Path("twice.csv").write_bytes(b"text,text\na,b\n")
    Path("open.csv").write_bytes(b'text\n"' + b"a line without an end of quotes\n" * 100)
    Path("damaged.parquet").write_bytes(b"PAR1 and more")
    save_table("t.parquet", {"body": [FOX], "number": [1], "list": [[1]]})
    before = sorted(folder.iterdir())
    assert cli.main(["dedup", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("fastcodes: ")
    assert captured.err.count("\n") == 1
    assert not captured.out
    for word in words:
        assert word in captured.err
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("name", ["rows.csv", "t.parquet"])
def test_an_interrupt_while_rows_are_written_leaves_the_old_file(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("rows.csv").write_bytes(csv_bytes())
    save_table("t.parquet", {"text": [text for text, _ in ROWS]})
    kept = "kept" + name[name.index(".") :]
    Path(kept).write_bytes(b"old")
    before = sorted(folder.iterdir())
    source = records._CsvRows if name.endswith("csv") else records._TableRows
    write = source.write

    def interrupted(*arguments: object) -> None:
        write(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(source, "write", interrupted)
    assert cli.main(["dedup", name, "--keep-first", "-o", kept]) == 130
    assert Path(kept).read_bytes() == b"old"
    assert sorted(folder.iterdir()) == before


def test_json_prints_the_figures_on_stdout(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lines("texts.txt", LINES)
    assert cli.main(["dedup", "texts.txt", "--json", "-o", "groups"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts.pop("seconds") > 0
    assert facts == {
        "file": "texts.txt",
        "records": 9,
        "duplicates": 3,
        "groups": 2,
        "bad": 1,
        "without_words": 2,
    }


def test_a_quote_that_is_not_closed_is_an_error(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("rows.csv").write_text('id,text\n1,"open a b c\n2,a b c d\n3,a b c d\n')
    assert cli.main(["dedup", "rows.csv"]) == 2
    assert "rows.csv: not valid CSV: unexpected end of data" in capfd.readouterr().err


def test_ids_that_are_no_json_make_bad_records(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("a.jsonl").write_text('{"id": NaN, "text": "a b c d"}\n' + '{"id": 1, "text": "a b c d"}\n' * 2)
    assert cli.main(["dedup", "a.jsonl", "--id-field", "id"]) == 0
    assert "NaN" not in capfd.readouterr().out
