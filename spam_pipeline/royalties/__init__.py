"""Royalties: the earnings of plays, statements of who is paid, and their adjustments."""
