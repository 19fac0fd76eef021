"""Premiums (保费): what each platform owes for a month's orders, what it paid, what is open."""
