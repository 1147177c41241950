"""Reporting: counts of plays, with and without spam, delivered to widgets, analysts and ad-hoc queries.

Other contexts import `contracts` only. Trust & safety classifies plays; reporting chooses how much spam to tolerate.
"""
