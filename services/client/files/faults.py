"""What can be wrong with a row, which costs that row, and with a file, which is then refused.

Each fault has a code and a phrase in English and in Chinese, filled with facts. The codes are
listed in docs/orders-files.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from services.kernel.phrases import FieldPath, Language, Phrase, fill
from services.kernel.problems import Kind, Problem

SHOWN_MAX = 60


class RowFault(IntEnum):
    """Why a row of a file is no order; of several faults the first field's counts."""

    UNEVEN_ROW = 1
    NOT_AN_OBJECT = 2
    REPEATED_HEADER = 3
    EMPTY_CELL = 4
    UNKNOWN_WORD = 5
    NOT_A_MOMENT = 6
    MOMENT_WITHOUT_TIME = 7
    MOMENT_WITHOUT_ZONE = 8
    HOUR_EXISTS_TWICE = 9
    HOUR_NEVER_EXISTS = 10
    IMPLAUSIBLE_MOMENT = 11
    NOT_A_NUMBER = 12
    CUT_NUMBER = 13
    NUMBER_WITH_POINT = 14
    LOST_ZEROS = 15
    SPREADSHEET_ERROR = 16
    FORMULA_WITHOUT_VALUE = 17
    CONTROL_CHARACTER = 18
    TOO_LONG = 19
    NOT_A_DIVISION = 20
    NOT_A_COORDINATE = 21

    def sentence(self, field: str, value: str) -> str:
        """What is wrong and what to do, in English."""
        return _ROW[self][0].format(field=field, value=value)

    def sentence_zh(self, field: str, value: str) -> str:
        """The same in Chinese."""
        title = FieldPath(field).text(Language.ZH)
        return _ROW[self][1].format(field=field, title=title, value=value)


_ROW: dict[RowFault, tuple[str, str]] = {
    RowFault.UNEVEN_ROW: (
        (
            "The row has more or fewer cells than the others ({value}); write one cell for each "
            "column and put a cell that contains the separator in quotation marks."
        ),
        "该行单元格数与其他行不同 ({value}); 请每列写一个单元格, 含分隔符的单元格请加引号。",
    ),
    RowFault.NOT_AN_OBJECT: (
        "The row is not a JSON object ({value}); write one object for each order.",
        "该行不是 JSON 对象 ({value}); 请每个订单写一个对象。",
    ),
    RowFault.REPEATED_HEADER: (
        "The row repeats the heading; remove it.",
        "该行重复了表头; 请删除。",
    ),
    RowFault.EMPTY_CELL: ("{field} is empty; fill it in.", "{title}为空; 请填写。"),
    RowFault.UNKNOWN_WORD: (
        "{field} is {value}, which the mapping does not explain; add it under [words.{field}].",
        "{title}的值 {value} 在映射文件中没有说明; 请加入 `[words.{field}]`。",
    ),
    RowFault.NOT_A_MOMENT: (
        (
            "{field} is {value}, which is not a moment in the form that the mapping names; correct "
            "the cell, or the form."
        ),
        "{title}的值 {value} 不符合映射文件规定的时间格式; 请更正单元格或格式。",
    ),
    RowFault.MOMENT_WITHOUT_TIME: (
        "{field} is {value}, a day without a time; write the time of day.",
        "{title}的值 {value} 只有日期, 没有时刻; 请写明时刻。",
    ),
    RowFault.MOMENT_WITHOUT_ZONE: (
        (
            "{field} is {value}, without a time zone; name the zone of the file in the mapping, "
            "such "
            'as zone = "Asia/Shanghai".'
        ),
        '{title}的值 {value} 没有时区; 请在映射文件中注明, 例如 `zone = "Asia/Shanghai"`。',
    ),
    RowFault.HOUR_EXISTS_TWICE: (
        (
            "{field} is {value}; the clocks went back, so this time exists twice on that day: "
            "write it with its offset from UTC, or say under [moments] which one is meant."
        ),
        (
            "{title}的值 {value} 因时钟回拨在当天出现两次; 请写明与 UTC 的时差, 或在 `[moments]` "
            "中规定取哪一次。"
        ),
    ),
    RowFault.HOUR_NEVER_EXISTS: (
        (
            "{field} is {value}; the clocks went forward, so this time does not exist on that day: "
            "check the zone of the file, or say under [moments] how it is meant."
        ),
        "{title}的值 {value} 因时钟拨快在当天不存在; 请核对时区, 或在 `[moments]` 中规定如何理解。",
    ),
    RowFault.IMPLAUSIBLE_MOMENT: (
        (
            "{field} is {value}, which is not a moment of this century; check the form: seconds or "
            "milliseconds, the order of day and month."
        ),
        "{title}的值 {value} 不在本世纪内; 请核对格式: 秒或毫秒、日与月的顺序。",
    ),
    RowFault.NOT_A_NUMBER: (
        "{field} is {value}, which is not a number; correct the cell.",
        "{title}的值 {value} 不是数字; 请更正单元格。",
    ),
    RowFault.CUT_NUMBER: (
        (
            "{field} is {value}: a spreadsheet cut off the digits of the number; export it from "
            "its source as text."
        ),
        "{title}的值 {value} 已被电子表格截去末尾数字; 请从来源系统以文本格式重新导出。",
    ),
    RowFault.NUMBER_WITH_POINT: (
        (
            "{field} is {value}: a program made a fraction of the number, and leading zeros may be "
            "lost; export it from its source as text."
        ),
        "{title}的值 {value} 已被程序转成小数, 前导零可能丢失; 请从来源系统以文本格式重新导出。",
    ),
    RowFault.LOST_ZEROS: (
        (
            "{field} is {value}, shorter than the digits that the mapping names: a spreadsheet "
            "dropped leading zeros; export it from its source as text."
        ),
        (
            "{title}的值 {value} 短于映射文件规定的位数, 前导零已被电子表格删除; "
            "请从来源系统以文本格式重新导出。"
        ),
    ),
    RowFault.SPREADSHEET_ERROR: (
        "{field} is {value}, an error of a spreadsheet; correct the cell.",
        "{title}的值 {value} 是电子表格的错误值; 请更正单元格。",
    ),
    RowFault.FORMULA_WITHOUT_VALUE: (
        (
            "{field} holds the formula {value} without its value; open and save the file in a "
            "spreadsheet program, or paste values in place of formulas."
        ),
        "{title}是没有计算结果的公式 {value}; 请用电子表格程序打开并保存, 或将公式粘贴为数值。",
    ),
    RowFault.CONTROL_CHARACTER: (
        "{field} is {value}, with characters that cannot be printed; remove them.",
        "{title}的值 {value} 含有不可打印的字符; 请删除。",
    ),
    RowFault.TOO_LONG: (
        "{field} begins with {value} and is too long; shorten it.",
        "{title}(开头为 {value}) 过长; 请缩短。",
    ),
    RowFault.NOT_A_DIVISION: (
        (
            "{field} is {value}, which is not a division code of six digits; write the code, or "
            "explain the word under [words.place]."
        ),
        "{title}的值 {value} 不是六位行政区划代码; 请写代码, 或在 `[words.place]` 中说明该名称。",
    ),
    RowFault.NOT_A_COORDINATE: (
        (
            "{field} is {value}, which is not a coordinate in degrees; check the cell, and whether "
            "longitude and latitude are swapped."
        ),
        "{title}的值 {value} 不是以度为单位的坐标; 请核对单元格, 并核对经纬度是否颠倒。",
    ),
}


class FileFault(Enum):
    """Why a file is refused as a whole."""

    NO_FILE = "NO_FILE"
    NOT_OPENED = "NOT_OPENED"
    UNKNOWN_KIND = "UNKNOWN_KIND"
    PACKED = "PACKED"
    LIBRARY_MISSING = "LIBRARY_MISSING"
    EMPTY_FILE = "EMPTY_FILE"
    NO_HEADER = "NO_HEADER"
    COLUMN_MISSING = "COLUMN_MISSING"
    POSITION_MISSING = "POSITION_MISSING"
    COLUMN_TWICE = "COLUMN_TWICE"
    TOO_MANY_COLUMNS = "TOO_MANY_COLUMNS"
    WRONG_TYPE = "WRONG_TYPE"
    DAYS_NOT_MOMENTS = "DAYS_NOT_MOMENTS"
    NESTED_VALUE = "NESTED_VALUE"
    NO_ARRAY = "NO_ARRAY"
    NO_SHEET = "NO_SHEET"
    NOT_UTF8 = "NOT_UTF8"
    WRONG_ENCODING = "WRONG_ENCODING"
    LOOKS_LIKE_UTF16 = "LOOKS_LIKE_UTF16"
    LONG_LINE = "LONG_LINE"
    OPEN_QUOTE = "OPEN_QUOTE"
    DAMAGED = "DAMAGED"
    EXPANDS = "EXPANDS"
    MEMORY = "MEMORY"
    CHANGED = "CHANGED"
    TOO_MANY_WRONG_ROWS = "TOO_MANY_WRONG_ROWS"
    READER_STOPPED = "READER_STOPPED"


ENCODINGS = "gb18030, gbk, big5, utf-16, windows-1252"
_FILE: dict[FileFault, tuple[str, str]] = {
    FileFault.NO_FILE: ("there is no such file", "文件不存在"),
    FileFault.NOT_OPENED: ("it cannot be read ({reason})", "文件无法读取 ({reason})"),
    FileFault.UNKNOWN_KIND: (
        (
            "{suffix} is not one of {known}; save it as one of these, or name its format in the "
            "mapping"
        ),
        "{suffix} 不是支持的格式 ({known}); 请另存为其中一种, 或在映射文件中注明 `format`",
    ),
    FileFault.PACKED: ("{suffix} is not read compressed; unpack the file", "{suffix} 请先解压"),
    FileFault.LIBRARY_MISSING: (
        (
            "this kind of file needs a library that is not installed; run pip install "
            "'oip-client[{extra}]'"
        ),
        "读取此类文件需要尚未安装的程序库; 请运行 `pip install 'oip-client[{extra}]'`",
    ),
    FileFault.EMPTY_FILE: ("it is empty, without even a header", "文件为空, 连表头也没有"),
    FileFault.NO_HEADER: (
        "it ends before line {line}, where the mapping says the header is",
        "映射文件规定表头在第 {line} 行, 但文件没有这么多行",
    ),
    FileFault.COLUMN_MISSING: (
        "column {column} is missing, from which the mapping takes {field}; the file has {known}",
        "缺少列 {column} (映射文件从该列取 {field}); 文件中有: {known}",
    ),
    FileFault.POSITION_MISSING: (
        (
            "there is no column {position}, from which the mapping takes {field}; the file has "
            "{count} columns"
        ),
        "没有第 {position} 列 (映射文件从该列取 {field}); 文件共 {count} 列",
    ),
    FileFault.COLUMN_TWICE: (
        (
            "column {column} occurs twice, and the mapping takes {field} from it; name it by its "
            "position"
        ),
        "列 {column} 出现两次, 而映射文件从该列取 {field}; 请改用列的位置 (`position`)",
    ),
    FileFault.TOO_MANY_COLUMNS: (
        "it has {count} columns, more than {most}; keep those that the mapping names",
        "文件有 {count} 列, 超过 {most} 列; 请只保留映射文件用到的列",
    ),
    FileFault.WRONG_TYPE: (
        "column {column}, from which the mapping takes {field}, holds {kind}; write it as {needed}",
        "列 {column} (取作 {field}) 的类型是 {kind}; 请写作 {needed}",
    ),
    FileFault.DAYS_NOT_MOMENTS: (
        (
            "column {column}, from which the mapping takes {field}, holds days without a time; "
            "name a column of moments, or date and time together"
        ),
        "列 {column} (取作 {field}) 只有日期没有时刻; 请指定含时刻的列, 或指定 `date` 与 `time`",
    ),
    FileFault.NESTED_VALUE: (
        (
            "{column}, from which the mapping takes {field}, holds an object or a list; name the "
            "value in it by its path, such as {column}.{key}"
        ),
        "{column} (取作 {field}) 是对象或数组; 请用路径指明其中的值, 例如 `{column}.{key}`",
    ),
    FileFault.NO_ARRAY: (
        (
            "there is no array of orders at the path '{path}'; name its path in the mapping, such "
            "as "
            'path = "data.orders"; it has arrays at: {known}'
        ),
        (
            '路径 `{path}` 处没有订单数组; 请在映射文件中注明, 例如 `path = "data.orders"`; '
            "文件中的数组: {known}"
        ),
    ),
    FileFault.NO_SHEET: (
        "it has no sheet {sheet}; its sheets are {known}",
        "没有工作表 {sheet}; 现有工作表: {known}",
    ),
    FileFault.NOT_UTF8: (
        "line {line} is not UTF-8; save the file as UTF-8, or name its encoding in the mapping, "
        'for example encoding = "gb18030" (known: ' + ENCODINGS + ")",
        "第 {line} 行不是 UTF-8; 请另存为 UTF-8, 或在映射文件中注明编码, "
        '例如 `encoding = "gb18030"` (可用: ' + ENCODINGS + ")",
    ),
    FileFault.WRONG_ENCODING: (
        "line {line} is not {encoding}, as the mapping says it is",
        "第 {line} 行不是映射文件所说的 {encoding} 编码",
    ),
    FileFault.LOOKS_LIKE_UTF16: (
        'it looks like UTF-16; name it in the mapping: encoding = "utf-16"',
        '文件像是 UTF-16; 请在映射文件中注明: `encoding = "utf-16"`',
    ),
    FileFault.LONG_LINE: (
        (
            "there is no end of the line within {mebibytes} MiB after row {row}; write one order a "
            "line, and close every quotation mark"
        ),
        "第 {row} 行之后 {mebibytes} MiB 内没有换行; 请每行写一个订单, 并检查引号是否成对",
    ),
    FileFault.OPEN_QUOTE: (
        "a quotation mark in row {row} is never closed; close it, or remove it",
        "第 {row} 行的引号没有闭合; 请补上或删除引号",
    ),
    FileFault.DAMAGED: (
        "it is not a valid {kind} file ({reason})",
        "不是有效的 {kind} 文件 ({reason})",
    ),
    FileFault.EXPANDS: (
        (
            "unpacked it is more than {ratio} times as large ({mebibytes} MiB so far); unpack it "
            "yourself and check what is in it"
        ),
        "解压后超过原大小的 {ratio} 倍 (已达 {mebibytes} MiB); 请自行解压并核对内容",
    ),
    FileFault.MEMORY: (
        "its content does not fit the memory; split it into smaller files",
        "文件内容超出内存; 请拆分成较小的文件",
    ),
    FileFault.CHANGED: (
        "it was changed while it was read; wait until it is complete",
        "读取期间文件发生了变化; 请等文件写完后重试",
    ),
    FileFault.TOO_MANY_WRONG_ROWS: (
        (
            "{count} of {total} rows are wrong, more than one in a hundred; the first: row {row}: "
            "{sentence} `oip orders check` lists more"
        ),
        (
            "{total} 行中有 {count} 行有误, 超过百分之一; 首个: 第 {row} 行: {sentence} "
            "可用 `oip orders check` 查看更多"
        ),
    ),
    FileFault.READER_STOPPED: (
        "the program that reads it {end}",
        "读取程序异常结束 ({end})",
    ),
}


def file_phrases(fault: FileFault) -> tuple[str, str]:
    """What is wrong with a file, in English and Chinese, with places for facts."""
    return _FILE[fault]


@dataclass(frozen=True)
class Reason:
    """A file's fault with its phrases, as it leaves the reader."""

    fault: str
    what: str
    what_zh: str


class Unreadable(Exception):  # noqa: N818 - ends as a refusal, not as an error of the program
    """The file cannot be read with its mapping; `reason` says why."""

    def __init__(self, fault: FileFault, **facts: object) -> None:
        """Fill the phrases of the fault with the facts."""
        english, chinese = file_phrases(fault)
        if isinstance(field := facts.get("field"), str):
            facts = {**facts, "field": FieldPath(field)}
        self.fault = fault
        self.reason = Reason(
            fault.value,
            fill(english, facts, Language.EN),
            fill(chinese, facts, Language.ZH),
        )
        super().__init__(self.reason.what)


class OrderFileUnreadable(Problem):
    """The file of orders cannot be read."""

    kind, reason = Kind.MALFORMED, "ORDER_FILE_UNREADABLE"
    message = "The file {file} cannot be read as orders: {what}."
    message_zh = "文件 {file} 无法作为订单读取: {what}。"

    @classmethod
    def of(cls, file: str, reason: Reason) -> OrderFileUnreadable:
        """The refusal of a file for a reason; the code of `what` is its fault."""
        return cls(file=file, what=Phrase(reason.fault, reason.what, reason.what_zh))


def shown(value: object) -> str:
    """A cell as a sentence shows it: short, on one line, in quotation marks."""
    return repr(str(value)[:SHOWN_MAX])
