"""Names and words that files of orders use, to propose a mapping for a file nobody described."""

from __future__ import annotations

import re
import unicodedata

# A field or part of one, and headers that name it, as `plain_name` writes them; better ones first.
HEADERS: dict[str, tuple[str, ...]] = {
    "order_no": (
        *("orderno", "orderid", "ordernumber", "ordersn", "tripid", "rideid", "waybillid"),
        *("waybillno", "deliveryid", "jobid", "bookingid", "订单编号", "订单号", "订单id"),
        *("运单号", "运单编号", "配送单号", "行程编号", "单号"),
    ),
    "worker": (
        *("workerhint", "worker", "workerid", "workernumber", "riderid", "courierid", "driverid"),
        *("taxiid", "hacklicense", "medallion", "couriername", "骑手编号", "骑手id", "司机编号"),
        *("司机id", "配送员编号", "配送员id", "从业人员编号", "人员编号", "工号", "骑手", "司机"),
    ),
    "platform": (
        *("platformhint", "platform", "platformid", "company", "vendor", "vendorid", "平台"),
        *("平台企业", "平台名称", "平台编码", "统一社会信用代码"),
    ),
    "industry": ("industry", "businesstype", "servicetype", "行业", "业务类型", "业务线"),
    "accept_time": (
        *("acceptedat", "accepttime", "acceptancetime", "grabtime", "dispatchtime", "starttime"),
        *("startedat", "tripstarttimestamp", "pickupdatetime", "tpeppickupdatetime", "begintime"),
        *(
            "begintriptime",
            "requesttime",
            "接单时间",
            "接单时刻",
            "抢单时间",
            "派单时间",
            "开始时间",
        ),
    ),
    "pick_up_time": (
        *("pickedupat", "pickuptime", "fetchtime", "取货时间", "取餐时间", "取件时间", "上车时间"),
    ),
    "end_time": (
        *("completedat", "completetime", "completiontime", "endtime", "endedat", "finishtime"),
        *("finishedat", "deliverytime", "deliveredat", "arrivetime", "tripendtimestamp"),
        *("dropoffdatetime", "tpepdropoffdatetime", "dropofftime", "完成时间", "完单时间"),
        *("送达时间", "结束时间", "签收时间"),
    ),
    "seconds": ("tripseconds", "durationseconds", "triptimeinsecs", "duration", "用时秒", "时长秒"),
    "minutes": ("durationminutes", "tripminutes", "用时分钟", "时长分钟"),
    "date": ("date", "day", "dt", "ds", "orderdate", "日期", "接单日期", "订单日期"),
    "time": ("time", "timeofday", "时间", "时刻"),
    "state": ("state", "status", "orderstatus", "orderstate", "订单状态", "状态"),
    "reason": ("reason", "cancelreason", "取消原因", "原因"),
    "revision": ("revision", "version", "版本", "版本号"),
    "adcode": (
        *("adcode", "districtcode", "countycode", "regioncode", "divisioncode", "区县代码"),
        *("行政区划代码", "区划代码", "接单地代码", "接单地区划", "接单地"),
    ),
    "pooling_area": ("poolingarea", "citycode", "统筹地区", "统筹地区代码", "城市代码"),
    "lng": (
        *("pickuplng", "acceptlng", "acceptgpslng", "pickuplongitude", "startlng", "lng", "lon"),
        *("longitude", "接单经度", "取货经度", "上车经度", "经度"),
    ),
    "lat": (
        *("pickuplat", "acceptlat", "acceptgpslat", "pickuplatitude", "startlat", "lat"),
        *("latitude", "接单纬度", "取货纬度", "上车纬度", "纬度"),
    ),
}
# Words of states, as `plain_name` writes them.
STATE_WORDS = {
    **dict.fromkeys(
        (
            *("completed", "complete", "finished", "done", "delivered", "closed", "已完成", "完成"),
            *("完单", "已送达", "送达", "已签收", "已结束"),
        ),
        "COMPLETED",
    ),
    **dict.fromkeys(
        ("cancelled", "canceled", "cancel", "aborted", "已取消", "取消", "已撤单"), "CANCELLED"
    ),
    **dict.fromkeys(
        (*("accepted", "ongoing", "open", "inprogress", "已接单", "进行中", "配送中", "行程中"),),
        "ACCEPTED",
    ),
    **dict.fromkeys(("reversed", "voided", "冲销", "已冲销", "作废"), "REVERSED"),
}
# Parts of headers and of file names that tell an industry.
INDUSTRY_HINTS = {
    "RIDE_HAILING": ("taxi", "trip", "ride", "driver", "passenger", "司机", "乘客", "上车", "出行"),
    "INSTANT_DELIVERY": ("courier", "rider", "delivery", "food", "骑手", "配送", "外卖", "取餐"),
    "SAME_CITY_FREIGHT": ("freight", "truck", "cargo", "货运", "货车", "司机货", "搬家"),
}


def plain_name(text: str) -> str:
    """A header or word without case, width, blanks and signs."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\W_]+", "", folded)


def field_of(header: str) -> tuple[str, int] | None:
    """The field that a header names, and how good the name is (0 is best)."""
    name = plain_name(header.rpartition(".")[2]) or plain_name(header)
    whole = plain_name(header)
    for field, names in HEADERS.items():
        for text in (whole, name):
            if text in names:
                return field, names.index(text)
    return None
