"""oip: occupational injury protection for platform workers (新就业形态人员职业伤害保障)."""
