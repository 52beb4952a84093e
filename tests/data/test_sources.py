"""Files are read line by line; a bad row stops the run or is skipped and counted."""

import gzip
import json
import logging

import pytest

from rmx.data import FilesSource, write_rejected
from rmx.errors import ConfigError, DataError


def pair(i, **more):
    return {"prompt": f"q{i}", "chosen": "good", "rejected": "bad", **more}


def lines_of(*rows):
    return b"".join(
        row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows
    )


@pytest.fixture
def write(tmp_path):
    def write_rows(name, *rows):
        path = tmp_path / name
        data = lines_of(*rows)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return str(path)

    return write_rows


def load(train, **more):
    return FilesSource(train=train, **more).load()


def test_plain_and_gzipped_files_give_the_same_groups(write):
    rows = [pair(i, id=f"r{i}") for i in range(5)]
    plain, packed = write("a.jsonl", *rows), write("a.jsonl.gz", *rows)
    assert load(plain).train == load(packed).train
    assert [group.id for group in load(plain).train] == ["r0", "r1", "r2", "r3", "r4"]


def test_parts_stay_apart_and_several_files_are_read_in_order(write):
    first, second = write("a.jsonl", pair(0)), write("b.jsonl", pair(1))
    splits = load([first, second], val=write("v.jsonl", pair(2)), spillover=None)
    assert [group.id for group in splits.train] == ["a.jsonl:1", "b.jsonl:1"]
    assert splits.val is not None
    assert splits.val[0].prompt[0].content == "q2"
    assert splits.spillover is None
    assert splits.rejected == []


def test_a_byte_order_mark_and_blank_lines_are_no_fault(write):
    path = write("a.jsonl", b"\xef\xbb\xbf", pair(0), b"\n  \r\n", pair(1))
    assert [group.id for group in load(path).train] == ["a.jsonl:1", "a.jsonl:4"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b'{"prompt": "q"\n', r":2: not JSON: .* at column 15; write one JSON object a line"),
        (b'[{"prompt": "q"},\n', r":2: not JSON: .*; the file looks like one JSON list"),
        (b'{"prompt": "caf\xe9"}\n', r":2: not UTF-8: byte 0xe9 at 15; save the file as UTF-8"),
        (b'{"chosen": "a", "chosen": "b"}\n', r":2: field 'chosen': stands twice in one object;"),
        (b"[" * 100_000 + b"\n", r":2: not JSON that can be read: "),
        (b"9" * 5000 + b"\n", r":2: not JSON that can be read: "),
        (b'{"prompt": "q", "completions": ["a", "b"], "ratings": [1, NaN]}\n', r"'ratings\[1\]'"),
        (
            b'{"prompt": "q", "completions": ["a", "b"], "ratings": [1, 1e999]}\n',
            r"finite, got inf",
        ),
        (b'{"prompt": "q", "chosen": "\\ud83d", "rejected": "b"}\n', r"half of a surrogate pair"),
        (pair(1, id="one"), r":2: field 'id': 'one' is already at .*a\.jsonl:1; give each row its"),
    ],
    ids=["broken", "list", "latin1", "twice", "deep", "digits", "nan", "inf", "surrogate", "id"],
)
def test_a_bad_row_stops_with_file_line_field_and_reason(write, bad, message):
    path = write("a.jsonl", pair(0, id="one"), bad)
    with pytest.raises(DataError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert "\n" not in str(caught.value)


def test_bad_rows_can_be_skipped_counted_and_written(write, tmp_path, caplog):
    bad_text = b'{"prompt": "q", "chosen": "\xff' + b"x" * 1000 + b'"}\n'
    path = write("a.jsonl", pair(0), pair(1, weight=-1), bad_text, pair(2))
    splits = load(path, on_bad_row="skip")
    assert [group.id for group in splits.train] == ["a.jsonl:1", "a.jsonl:4"]
    assert [(row.line, row.field) for row in splits.rejected] == [(2, "weight"), (3, "")]
    assert splits.rejected[0].reason == "must be > 0, got -1; remove what shall not count"
    assert len(splits.rejected[1].text) == 500
    assert "data.train: 2 of 4 rows refused (weight: 1, row: 1)" in caplog.text

    write_rejected(tmp_path / "rejected.jsonl", splits.rejected)
    lines = (tmp_path / "rejected.jsonl").read_text().splitlines()
    written = [json.loads(line) for line in lines]
    assert written[0]["file"] == path
    assert json.loads(written[0]["text"]) == pair(1, weight=-1)


def test_a_part_without_a_usable_row_is_refused_even_when_skipping(write):
    path = write("a.jsonl", pair(0, weight=-1))
    with pytest.raises(DataError, match=r"no usable row in .* \(1 refused; the first: must be > 0"):
        load(path, on_bad_row="skip")
    with pytest.raises(DataError, match=r"no usable row in .* \(0 refused\)"):
        load(write("empty.jsonl"))


def test_a_cut_gzip_file_is_refused_with_its_line(write, tmp_path):
    packed = write("a.jsonl.gz", *(pair(i, id=f"{i * 7919 % 1009:x}") for i in range(1000)))
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes((tmp_path / "a.jsonl.gz").read_bytes()[:2000])
    with pytest.raises(DataError, match=r"cut\.jsonl\.gz:\d+: not a whole gzip file"):
        load(str(cut))
    assert len(load(packed).train) == 1000
    text = write("text.jsonl", pair(0))
    (tmp_path / "text.jsonl").rename(tmp_path / "text.jsonl.gz")
    with pytest.raises(DataError, match="not a whole gzip file"):
        load(text + ".gz")


def test_a_missing_file_is_one_line_with_a_suggestion(write, tmp_path):
    write("pairs.jsonl", pair(0))
    with pytest.raises(DataError, match=r"data.train must name .*did you mean .*/pairs\.jsonl\?"):
        load(str(tmp_path / "pair.jsonl"))
    with pytest.raises(DataError, match=r"got .*/zzz; .* has pairs\.jsonl"):
        load(str(tmp_path / "zzz"))
    with pytest.raises(DataError, match=r"there is no folder .*/nowhere"):
        load(str(tmp_path / "nowhere" / "pairs.jsonl"))
    with pytest.raises(DataError, match=r"must be a file, got the folder .* it has pairs\.jsonl"):
        load(str(tmp_path))


def test_an_unknown_format_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("chosen,rejected\n")
    with pytest.raises(DataError, match=r"must end with \.jsonl or \.jsonl\.gz"):
        load(str(tmp_path / "a.csv"))


def test_one_file_in_two_parts_is_refused(write):
    path = write("a.jsonl", pair(0))
    with pytest.raises(ConfigError, match=r"data.val and data.train must not share a file"):
        load(path, val=[path])


def test_unused_columns_are_told_with_a_suggestion(write, caplog):
    load(write("a.jsonl", pair(0, margins=0.5, subset="x")))
    assert "no use of: margins (did you mean 'margin'?), subset" in caplog.text


@pytest.mark.parametrize(
    "setting", [{"on_bad_row": "ignore"}, {"strength_scale": 0}, {"rating_range": float("inf")}]
)
def test_a_setting_out_of_range_is_refused(setting):
    with pytest.raises(ConfigError, match=f"data.{next(iter(setting))} must be"):
        FilesSource(train="a.jsonl", **setting)


def test_sound_files_say_nothing(write, caplog):
    with caplog.at_level(logging.DEBUG):
        load(write("a.jsonl", pair(0)))
    assert caplog.text == ""
