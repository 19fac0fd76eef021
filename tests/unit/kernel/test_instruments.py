"""What may be tagged law: an article that was seen, in its place and from its first day."""

from __future__ import annotations

from datetime import date

import pytest

from services.kernel.instruments import INSTRUMENTS, not_law

JULY_2025 = date(2025, 7, 1)


@pytest.mark.parametrize(
    ("source", "since", "place"),
    [
        ("人社厅函〔2025〕79号 第三十八条第(二)项", JULY_2025, "CN"),
        ("人社部发〔2025〕24号 第十一条第三款", JULY_2025, "440100"),
        ("人社部发〔2021〕110号 第十三条", date(2022, 7, 1), "CN"),
        ("GB/T 16180-2014 4.1.5", date(2015, 1, 1), "CN"),
        ("国家统计局 2024年全国城镇居民人均可支配收入", date(2025, 1, 1), "CN"),
        ("工伤保险条例 第三十四条; by 人社部发〔2021〕110号 第三十条", date(2022, 7, 1), "CN"),
        ("四川省九部门通知(2025) 第二项第(一)目", JULY_2025, "510100"),
        ("北京市全口径城镇单位就业人员平均工资 2024年", date(2025, 1, 1), "110105"),
    ],
)
def test_an_article_in_its_place_from_its_first_day_is_law(
    source: str, since: date, place: str
) -> None:
    assert not_law(source, since, place) == ""


@pytest.mark.parametrize(
    ("source", "since", "place", "why"),
    [
        ("人社厅函〔2025〕79号", JULY_2025, "CN", "names no instrument"),
        ("a notice of 2025, item 3", JULY_2025, "CN", "names no instrument"),
        ("海南省职业伤害保障, 海南日报 2025-12-29", JULY_2025, "460000", "names no instrument"),
        ("人社厅函〔2025〕79号 第三十八条; as reported", JULY_2025, "CN", "'report'"),
        ("人社厅函〔2025〕79号 第三十九条; for grants by analogy", JULY_2025, "CN", "'analog'"),
        ("工伤保险条例 第三十条; 海南日报", JULY_2025, "CN", "'日报'"),
        ("人社部发〔2025〕24号 第九条", JULY_2025, "CN", "was not seen"),
        ("京人社工发〔2025〕8号 第一项", JULY_2025, "110000", "was not seen"),
        ("人社厅函〔2025〕79号 浮动档次", JULY_2025, "CN", "is not an article"),
        ("人社厅函〔2025〕79号 第三十八条", date(2022, 7, 1), "CN", "rules from 2025-07-01 on"),
        ("社会保险经办条例 第五十五条", date(2022, 7, 1), "CN", "rules from 2023-12-01 on"),
        ("人社部发〔2021〕110号 第十三条", JULY_2025, "CN", "to the day before 2025-07-01"),
        ("四川省九部门通知(2025) 第二项第(一)目", JULY_2025, "CN", "not in CN"),
        ("四川省九部门通知(2025) 第二项第(一)目", JULY_2025, "440000", "not in 440000"),
    ],
)
def test_what_is_not_law_says_why(source: str, since: date, place: str, why: str) -> None:
    assert why in not_law(source, since, place)


def test_articles_of_texts_known_by_report_are_not_law() -> None:
    by_report = [name for name, instrument in INSTRUMENTS.items() if not instrument.seen]

    assert "人社部发〔2015〕71号" in by_report
    assert all(not_law(f"{name} 第一条", date(2030, 1, 1), "CN") for name in by_report)
