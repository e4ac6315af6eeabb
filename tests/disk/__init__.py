"""A disk that fails: full, or broken, at any single write to the database, and what a run makes of it.

`faulty.c` stands between SQLite and the system (LD_PRELOAD), `sweep` lets it fail at each write and compares the end
after one more run. `make disk-faults` tries all of them, `test_disk.py` a few.
"""
