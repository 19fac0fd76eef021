"""Orders (订单记录): bulk intake, look-up at a moment, and proof that no record was dropped."""
