"""What is no file of orders at all: folders, pipes, links to themselves, other bytes."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from services.client.files.faults import OrderFileUnreadable
from services.client.files.order_files import propose_mapping, read_rows
from tests.support.order_files import mapping_of, refusal_of

MAP = mapping_of(moments='zone = "Asia/Shanghai"')


@pytest.mark.parametrize("name", ["o.xlsx", "o.parquet", "o.json", "o.arrow"])
def test_what_a_library_says_of_a_damaged_file_stays_out_of_the_chinese_sentence(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x07 no such file \x00" * 9)

    reason = refusal_of(path, MAP)

    assert reason.fault == "DAMAGED"
    said = reason.what_zh.replace(name.rpartition(".")[2], "").replace("UTF-8", "")
    assert not re.search("[A-Za-z]{2}", said), reason.what_zh


def test_a_pipe_and_a_link_to_itself_are_refused_and_nothing_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")

    pipe, loop = (refusal_of(tmp_path / name, MAP) for name in ("pipe.csv", "loop.csv"))

    assert (pipe.fault, loop.fault) == ("NOT_OPENED", "NOT_OPENED")
    assert pipe.what == "it cannot be read (it is a pipe or a device; save it as a file)"
    assert loop.what_zh == "文件无法读取 (链接指向自身)"
    with pytest.raises(OrderFileUnreadable):
        propose_mapping(tmp_path / "pipe.csv")


def test_a_folder_without_a_name_is_called_by_its_path() -> None:
    with pytest.raises(OrderFileUnreadable) as refused:
        list(read_rows(Path(), MAP))

    assert refused.value.sentence == (
        "The file . cannot be read as orders: it cannot be read (it is a folder)."
    )
    assert refused.value.sentence_zh == "文件 . 无法作为订单读取: 文件无法读取 (这是一个文件夹)。"
