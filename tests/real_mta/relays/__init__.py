"""Runs real mail servers with a smarthost of ours on loopback that fails, and beside it MXs that say the same.

Each server runs in a folder of its own as its root (chroot): Debian's packages unpacked with all they need, so that
nothing of the host is used or changed. Names end at a name server of ours; the relays bear the names people use.
"""
