"""Runs real mail servers on loopback against scripted refusals, and collects the bounces they really send.

Nothing of the host is changed: the servers come out of Debian's packages unpacked into a folder, run with their own
configuration and queue in a temporary folder, and ask a name server of ours for names under .example only.
"""
