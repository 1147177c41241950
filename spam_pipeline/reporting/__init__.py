"""Reporting: counts of plays, with spam and without, and their way to widgets, analysts and ad-hoc queries.

Others import `contracts` only. Which play is spam is decided by trust & safety; reporting chooses how much of it to tolerate.
"""
