"""The questions of a determination in words; their codes are the keys of findings."""

from __future__ import annotations

from services.kernel.phrases import Phrase

QUESTIONS_ZH = {
    "attribution": "承担平台",
    "because_of_service": "是否因提供服务受到伤害",
    "enrolled": "是否已参保",
    "filing_time": "申请是否逾期",
    "harm": "伤害与事故的因果关系",
    "intentional_crime": "是否故意犯罪",
    "intoxication": "是否醉酒或吸毒",
    "labour_relationship": "是否存在劳动关系",
    "missing": "是否事故后下落不明",
    "old_injury": "是否旧伤复发",
    "order_execution": "是否在执行订单期间受伤",
    "place_charged": "承担费用的统筹地区",
    "public_interest": "是否为维护公共利益",
    "required_travel": "是否按要求前往指定地点",
    "scheme": "制度是否施行",
    "self_harm": "是否自残或自杀",
    "sudden_illness": "是否突发疾病",
    "traffic_fault": "是否负交通事故主要责任",
    "way_home": "是否在返家途中",
}


def question_label(question: str) -> Phrase:
    """A question: its code in English, because people answer by it, and words in Chinese."""
    return Phrase(question, question, QUESTIONS_ZH.get(question, "所填事项"))
