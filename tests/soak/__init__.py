"""Weeks of a mailbox in seconds: seeded runs on a simulated clock, with all the trouble that a cron job meets.

`life` is the mailbox, its owner and the trouble; `promises` what must hold after each run and at the end. `make soak`
lives many such weeks, `test_soak.py` a few. The same seed lives the same weeks again.
"""
