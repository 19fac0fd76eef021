"""What the gateway refuses before a service is asked."""

from __future__ import annotations

from services.kernel.problems import Kind, Problem


class MethodUnknown(Problem):
    """No service has a method of this path."""

    kind, reason = Kind.NOT_FOUND, "METHOD_UNKNOWN"
    message = "There is no method {path}; /docs lists all methods."
    message_zh = "不存在接口 {path}; 全部接口见 `/docs`。"


class NotOverJson(Problem):
    """The method is a stream that JSON callers have no use for."""

    kind, reason = Kind.NOT_FOUND, "NOT_OVER_JSON"
    message = "{path} is a stream, which is served over gRPC only; call it over gRPC."
    message_zh = "{path} 为数据流接口, 仅通过 gRPC 提供; 请使用 gRPC 调用。"


class MethodIsPost(Problem):
    """Every call is a POST."""

    kind, reason = Kind.MALFORMED, "METHOD_IS_POST"
    message = "{path} is called with POST; send the request as the body."
    message_zh = "{path} 须以 POST 调用; 请将请求放入正文。"


class ContentTypeUnknown(Problem):
    """The body is of a kind that the method does not take."""

    kind, reason = Kind.MALFORMED, "CONTENT_TYPE_UNKNOWN"
    message = "The content type {content_type} is not taken here; send {accepted}."
    message_zh = "此处不接受内容类型 {content_type}; 请使用 {accepted}。"


class EncodingUnknown(Problem):
    """The body is compressed in a way that the gateway does not read."""

    kind, reason = Kind.MALFORMED, "ENCODING_UNKNOWN"
    message = "The content encoding {encoding} is not read; send gzip, or none."
    message_zh = "无法识别内容编码 {encoding}; 请使用 gzip 或不压缩。"


class BodyDamaged(Problem):
    """The body is not what its content encoding says."""

    kind, reason = Kind.MALFORMED, "BODY_DAMAGED"
    message = "The body is no complete gzip; compress it again, or send it as it is."
    message_zh = "正文不是完整的 gzip 数据; 请重新压缩或不压缩发送。"


class BodyTooLarge(Problem):
    """The body is larger than a call may be."""

    kind, reason = Kind.TOO_LARGE, "BODY_TOO_LARGE"
    message = "The body is larger than {max_bytes} bytes; send less at a time."
    message_zh = "正文超过 {max_bytes} 字节; 请分次发送。"


class BodyTooSlow(Problem):
    """The body did not come in time."""

    kind, reason = Kind.TOO_LATE, "BODY_TOO_SLOW"
    message = "The body did not come within {seconds} seconds; send it at once."
    message_zh = "{seconds} 秒内未收到正文; 请一次性发送。"


class AnswerTooLarge(Problem):
    """The answer is larger than a message may be."""

    kind, reason = Kind.TOO_LARGE, "ANSWER_TOO_LARGE"
    message = "The answer is larger than {max_bytes} bytes; ask for a smaller page."
    message_zh = "返回内容超过 {max_bytes} 字节; 请减小每页数量。"


class HeaderWrong(Problem):
    """A header of the Connect protocol has a value that it does not allow."""

    kind, reason = Kind.MALFORMED, "HEADER_WRONG"
    message = "The header {header} must be {form}; correct it or leave it out."
    message_zh = "请求头 {header} 应为 {form}; 请更正或省略。"


class JsonUnreadable(Problem):
    """The text is no JSON object in UTF-8."""

    kind, reason = Kind.MALFORMED, "JSON_UNREADABLE"
    message = "This is no JSON object in UTF-8, from character {position} on; correct it."
    message_zh = "自第 {position} 个字符起不是 UTF-8 编码的 JSON 对象; 请更正。"


class JsonTooDeep(Problem):
    """The text has more levels than any request has."""

    kind, reason = Kind.MALFORMED, "JSON_TOO_DEEP"
    message = "The JSON has too many levels; send the message that /docs describes."
    message_zh = "JSON 嵌套层数过多; 请按 `/docs` 的说明发送。"


class JsonNameTwice(Problem):
    """An object has a name twice, or two spellings of a field."""

    kind, reason = Kind.MALFORMED, "JSON_NAME_TWICE"
    message = "The JSON has {name} twice in one object; leave one of them."
    message_zh = "JSON 同一对象中 {name} 出现两次; 请只保留一个。"


class JsonFieldUnknown(Problem):
    """An object has a name that is no field of the message."""

    kind, reason = Kind.MALFORMED, "JSON_FIELD_UNKNOWN"
    message = "{field_name} is no field of {of}, whose fields are {fields}; correct or remove it."
    message_zh = "{of} 没有字段 {field_name}, 其字段为 {fields}; 请更正或删除。"


class JsonValueWrong(Problem):
    """A value is not of the kind of its field."""

    kind, reason = Kind.MALFORMED, "JSON_VALUE_WRONG"
    message = "{field_name} must be {form}; correct it."
    message_zh = "{field_name} 应为 {form}; 请更正。"


class JsonOneOf(Problem):
    """Two fields of which a message has one are both there."""

    kind, reason = Kind.MALFORMED, "JSON_ONE_OF"
    message = "{field_name} stands next to another field of {group}; leave one of them."
    message_zh = "{field_name} 与 {group} 的另一字段不能同时出现; 请只保留一个。"


class ArrowUnreadable(Problem):
    """The body is no Arrow IPC stream of record batches."""

    kind, reason = Kind.MALFORMED, "ARROW_UNREADABLE"
    message = "Byte {position} begins no message of an Arrow IPC stream; write the stream again."
    message_zh = "第 {position} 字节处不是 Arrow IPC 流的消息; 请重新生成。"


class ArrowHasDictionary(Problem):
    """The stream has dictionaries, which no column of an order has."""

    kind, reason = Kind.MALFORMED, "ARROW_HAS_DICTIONARY"
    message = "The Arrow stream has dictionaries; write its columns as the proto describes them."
    message_zh = "Arrow 流包含字典编码; 请按接口定义写入各列。"


class RecordBatchTooLarge(Problem):
    """A record batch does not fit into a message to the orders service."""

    kind, reason = Kind.TOO_LARGE, "RECORD_BATCH_TOO_LARGE"
    message = "Record batch {index} is larger than {max_bytes} bytes; write smaller batches."
    message_zh = "第 {index} 个记录批次超过 {max_bytes} 字节; 请减小批次。"


class RowUnreadable(Problem):
    """A line of an upload is no order row."""

    kind, reason = Kind.MALFORMED, "ROW_UNREADABLE"
    message = "Line {line}: {what}"
    message_zh = "第 {line} 行: {what}"
